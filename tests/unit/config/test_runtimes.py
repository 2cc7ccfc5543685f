"""The runtime of a model: its file of requirements is read with the team file, and held against the flavour."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcycle.config import ConfigError, Lock, Team, load_team
from labcycle.config.locks import parse
from tests.unit.config.files import TEAM, bent, written

MODEL = "  - name: card-fraud\n"
API = "{form: api, runtime: lambda}"
SKLEARN = "numpy==2.4.6\nscipy==1.17.1\nscikit_learn == 1.9.1  # the model\nJoblib==1.6.0\nthreadpoolctl==3.8.0\n"
HASH = f"--hash=sha256:{'0a' * 32}"


def loaded(
    folder: Path, requirements: str | None, *changes: tuple[str, str], flavour: str = "sklearn", name: str = "lock.txt"
) -> Team:
    if requirements is not None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(requirements)
    runtime = f"    runtime: {{flavour: {flavour}, requirements: {name}}}\n"
    return load_team(written(folder, "fraud.yaml", bent(TEAM, (MODEL, MODEL + runtime), *changes)))


def problem(folder: Path, requirements: str | None, *changes: tuple[str, str], **how: str) -> str:
    with pytest.raises(ConfigError) as error:
        loaded(folder, requirements, *changes, **how)
    (only,) = error.value.problems
    return str(only).replace(f"{folder}/", "")


def test_the_lock_is_what_the_file_held_when_the_team_was_read(tmp_path: Path) -> None:
    team = loaded(tmp_path, SKLEARN, name="requirements/card-fraud.txt")
    (tmp_path / "requirements/card-fraud.txt").unlink()
    lock = team.lock_of(team.models[0])
    assert lock and lock.text == SKLEARN
    assert lock.pins == {
        "numpy": "2.4.6",
        "scipy": "1.17.1",
        "scikit-learn": "1.9.1",
        "joblib": "1.6.0",
        "threadpoolctl": "3.8.0",
    }
    assert not lock.hashed


def test_a_model_without_runtime_has_none(tmp_path: Path) -> None:
    team = load_team(written(tmp_path, "fraud.yaml", TEAM))
    assert [team.lock_of(model) for model in team.models] == [None] * len(team.models)


def test_a_team_that_was_made_in_python_has_no_file(tmp_path: Path) -> None:
    team = loaded(tmp_path, SKLEARN)
    made = Team.model_validate(team.model_dump(exclude_unset=True))
    assert made == team
    with pytest.raises(
        ConfigError, match=r"models\[0\].runtime.requirements: got lock.txt in a team that was not read"
    ):
        made.lock_of(made.models[0])


def test_a_file_that_is_not_there_is_told_where_it_is_named(tmp_path: Path) -> None:
    said = problem(tmp_path, None)
    assert said.startswith("fraud.yaml:")
    assert "models[0].runtime.requirements: got lock.txt, and there is no lock.txt; allowed a file" in said
    assert "pip freeze" in said


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "pandas",
            "got pandas; allowed exact pins of all packages, those that they need included. Write pandas==VERSION",
        ),
        ("pandas>=2", "Write pandas==VERSION"),
        ("pandas==2.*", "Write pandas==VERSION"),
        ("--index-url https://example.com", "got the option --index-url https://example.com; allowed pins alone"),
        ("-r other.txt", "got the option -r other.txt"),
        ("pandas==2.0; python_version > '3'", "with a condition"),
        ("./pandas.whl", "Write NAME==VERSION"),
        ("NumPy==2.4.6", "got numpy a second time"),
    ],
)
def test_a_line_that_is_no_pin_is_told_in_its_own_file(tmp_path: Path, line: str, says: str) -> None:
    said = problem(tmp_path, f"# all\n{SKLEARN}{line}\n")
    assert said.startswith("lock.txt:7:1: ")
    assert says in said


@pytest.mark.parametrize(
    ("flavour", "missing"),
    [
        ("sklearn", "scikit-learn, scipy, joblib, threadpoolctl"),
        ("xgboost", "xgboost-cpu, scipy"),
        ("lightgbm", "lightgbm, scipy"),
        ("pyfunc", "mlflow-skinny, pandas"),
    ],
)
def test_what_the_flavour_loads_must_be_pinned(tmp_path: Path, flavour: str, missing: str) -> None:
    said = problem(tmp_path, "numpy==2.4.6\n", flavour=flavour)
    assert f"got lock.txt, which does not pin {missing}; allowed all that the flavour {flavour} loads" in said


def test_an_unknown_flavour_or_name_is_told_alone(tmp_path: Path) -> None:
    assert "sklearn" in problem(tmp_path, SKLEARN, flavour="sklern")
    assert "path of a .txt file" in problem(tmp_path, None, name="lock.toml")
    assert "path of a .txt file" in problem(tmp_path, None, name="/etc/lock.txt")


def test_in_containers_pins_have_hashes(tmp_path: Path) -> None:
    fargate = (API, "{form: api, runtime: fargate}")
    for form in (fargate, (API, "{form: api, runtime: sagemaker, mode: serverless}")):
        assert "whose pins have no hashes, for a model in a container" in problem(tmp_path, SKLEARN, form)
    hashed = "".join(f"{line.partition(' #')[0]} \\\n    {HASH} \\\n    {HASH}\n" for line in SKLEARN.splitlines())
    team = loaded(tmp_path, hashed, fargate)
    lock = team.lock_of(team.models[0])
    assert lock and lock.hashed and len(lock.pins) == 5
    assert "got hashes for some packages alone" in problem(tmp_path, hashed + "six==1.0\n", fargate)


def test_a_gpu_is_for_models_in_onnx(tmp_path: Path) -> None:
    hashed = "".join(f"{line.partition(' #')[0]} \\\n    {HASH}\n" for line in SKLEARN.splitlines())
    form = (API, "{form: api, runtime: sagemaker, mode: asynchronous, instance_type: ml.g5.xlarge}")
    assert "got ml.g5.xlarge, which has a GPU, in a model with a runtime" in problem(tmp_path, hashed, form)


def test_a_lock_that_no_variable_can_hold(tmp_path: Path) -> None:
    many = "".join(f"package-{number}==1.0.{number}\n" for number in range(150))
    assert "characters; allowed 2,800" in problem(tmp_path, SKLEARN + many)
    assert "has more than 200000 bytes" in problem(tmp_path, SKLEARN + "#" * 200_000)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_bytes(b"\xff\xfe")
    assert "cannot be read as UTF-8 text" in problem(tmp_path, None)


def test_a_lock_of_ones_own_tells_its_lines() -> None:
    assert Lock.read("six==1.17.0").pins == {"six": "1.17.0"}
    with pytest.raises(ValueError, match="line 2: got six"):
        Lock.read("\nsix")
    assert parse("")[0].hashed is False


# ---- a second one ---------------------------------------------------------------------------------------------------

NEXT = ", next: {flavour: sklearn, requirements: new.txt}"


def with_next(folder: Path, first: str, new: str | None, *changes: tuple[str, str], told: str = NEXT) -> Team:
    if new is not None:
        (folder / "new.txt").write_text(new)
    (folder / "lock.txt").write_text(first)
    runtime = f"    runtime: {{flavour: sklearn, requirements: lock.txt{told}}}\n"
    return load_team(written(folder, "fraud.yaml", bent(TEAM, (MODEL, MODEL + runtime), *changes)))


def next_problem(folder: Path, first: str, new: str | None, *changes: tuple[str, str], told: str = NEXT) -> str:
    with pytest.raises(ConfigError) as error:
        with_next(folder, first, new, *changes, told=told)
    (only,) = error.value.problems
    return str(only).replace(f"{folder}/", "")


def test_the_lock_of_the_next_runtime_is_read_too(tmp_path: Path) -> None:
    team = with_next(tmp_path, SKLEARN, SKLEARN.replace("1.9.1", "1.10.0"))
    first, new = team.lock_of(team.models[0]), team.next_lock_of(team.models[0])
    assert first and new
    assert (first.pins["scikit-learn"], new.pins["scikit-learn"]) == ("1.9.1", "1.10.0")
    assert team.next_lock_of(team.models[-1]) is None or len(team.models) == 1


def test_the_next_runtime_obeys_the_same_rules(tmp_path: Path) -> None:
    said = next_problem(tmp_path, SKLEARN, None)
    assert "models[0].runtime.next.requirements: got new.txt, and there is no new.txt" in said
    assert "does not pin scipy" in next_problem(tmp_path, SKLEARN, SKLEARN.replace("scipy==1.17.1\n", ""))
    assert next_problem(tmp_path, SKLEARN, SKLEARN + "pandas\n").startswith("new.txt:6:1: got pandas")
    unknown = next_problem(tmp_path, SKLEARN, SKLEARN, told=", next: {flavour: onnx, requirements: new.txt}")
    assert "models[0].runtime.next.flavour" in unknown


def test_a_snapshot_has_no_room_for_a_next_runtime(tmp_path: Path) -> None:
    starts = (API, "{form: api, runtime: lambda, start: {mode: snap_start}}")
    said = next_problem(tmp_path, SKLEARN, SKLEARN.replace("1.9.1", "1.10.0"), starts)
    assert "start.mode: got snap_start in a model with a next runtime" in said
    assert loaded(tmp_path, SKLEARN, starts).models[0].runtime


def test_the_next_runtime_is_another(tmp_path: Path) -> None:
    said = next_problem(tmp_path, SKLEARN, f"# the same\n{SKLEARN}")
    assert "models[0].runtime.next: got new.txt with the flavour and the packages that the first runtime has" in said
    assert said.endswith("Remove next")


def test_in_containers_both_have_hashes(tmp_path: Path) -> None:
    hashed = "".join(f"{line.partition(' #')[0]} {HASH}\n" for line in SKLEARN.splitlines())
    said = next_problem(tmp_path, hashed, SKLEARN.replace("1.9.1", "1.10.0"), (API, "{form: api, runtime: fargate}"))
    assert "got new.txt, whose pins have no hashes, for a model in a container" in said


def test_two_locks_that_no_variable_can_hold(tmp_path: Path) -> None:
    many = "".join(f"package-{number}==1.0.{number}\n" for number in range(50))
    said = next_problem(tmp_path, SKLEARN + many, SKLEARN + many + "six==1.17.0\n")
    assert "got lock.txt and new.txt" in said and "allowed 2,400 for both" in said
