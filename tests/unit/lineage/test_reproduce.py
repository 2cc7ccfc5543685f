"""`labcycle runs reproduce`: code, data and libraries made again, run as a process, and the verdict."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pandas as pd
import pytest
from mlflow.data.digest_utils import compute_pandas_digest

from labcycle.client.api import ApiError
from labcycle.client.surroundings import lock
from labcycle.client.uncommitted import find_checkout, uncommitted
from labcycle.errors import LabcycleError
from labcycle.lineage.artifacts import ArtifactError, Artifacts
from labcycle.lineage.cannot_reproduce import CannotReproduce
from labcycle.lineage.reproduction import Reproduction, Wanted
from labcycle.lineage.runs_client import RunsClient
from labcycle.lineage.verdict import Tolerance, judge
from tests.unit.client.test_uncommitted import git, repository  # noqa: F401 - a fixture
from tests.unit.lineage.conftest import Team
from tests.unit.lineage.test_commands import Call, a_run, call, document, log  # noqa: F401 - a fixture
from tests.unit.tracking.conftest import BUCKET

CSV = b"x,y\n1,0\n2,1\n4,1\n"
# The mean of x, times C; it must not see the caller's variables.
RECIPE = b"""
import csv, json, os, pathlib
assert not {"AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI", "A_TOKEN"} & os.environ.keys()
assert os.environ["AWS_CONFIG_FILE"] == os.environ["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
assert os.environ["AWS_EC2_METADATA_DISABLED"] == "true" and not list(pathlib.Path.home().iterdir())
assert os.environ["LC_ALL"] == "C.UTF-8"
root = pathlib.Path(os.environ["LABCYCLE_TRAINING_ROOT"])
settings = json.loads((root / "input/config/hyperparameters.json").read_text())
rows = [row for f in sorted((root / "input/data/training").glob("*.csv")) for row in csv.DictReader(f.open())]
mean = float(settings["C"]) * sum(float(row["x"]) for row in rows) / len(rows)
(root / "output/data").mkdir(parents=True)
(root / "output/data/metrics.json").write_text(json.dumps({"mean": mean, "odd": float("nan")}))
print("done", mean)
"""
# Logs by itself, as MLflow's client would.
SCRIPT = """
import json, os, sys, urllib.request
body = {"run_id": os.environ["MLFLOW_RUN_ID"], "key": "loss", "value": float(sys.argv[1]), "timestamp": 1}
url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/runs/log-metric"
headers = {"content-type": "application/json"}
urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers))
"""


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "of the caller")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def recipe_run(team: Team, *, mean: float = 7 / 3 * 2, recipe: bytes = RECIPE, data: bytes = CSV, **more: Any) -> str:
    """A run with a recipe, and its data in the team's bucket."""
    run_id = a_run(team, "größer/kleiner", params={"C": "2"}, metrics={"mean": mean, "odd": "NaN"}, **more)
    team.artifact(run_id, "recipe/train.py", recipe)
    team.api.file("data/m/rows.csv", data)
    digest = compute_pandas_digest(pd.read_csv(BytesIO(CSV)))
    source = json.dumps({"uri": f"s3://{BUCKET}/data/m/rows.csv"})
    dataset = {"name": "rows", "digest": digest, "source_type": "s3", "source": source}
    body = {
        "run_id": run_id,
        "datasets": [{"dataset": dataset, "tags": [{"key": "mlflow.data.context", "value": "training"}]}],
    }
    team.api.ok("POST", "runs/log-inputs", body)
    return run_id


def verdicts(team: Team) -> list[tuple[str, str]]:
    """Verdict and status of all runs that reproduce another."""
    runs = [run for run in team.api.ledgers.runs.of_experiment("0") if "lineage.reproduces" in run.tags]
    return [(run.tags.get("lineage.verdict", ""), run.status) for run in runs]


def test_a_recipe_is_reproduced_and_the_new_run_can_be_reproduced_in_turn(team: Team, call: Call) -> None:  # noqa: F811
    source = recipe_run(team)
    report = document(call("runs", "reproduce", source, "--reuse-environment", "--json"))
    assert (report["reproduced"], report["notes"], report["code"]["origin"]) == (True, [], "recipe")
    assert {m["key"]: m["same"] for m in report["metrics"]} == {"mean": True, "odd": True}
    made = team.api.ledgers.runs.get(report["run_id"])
    assert (made.params, made.status) == ({"C": "2"}, "FINISHED")
    assert made.tags["lineage.reproduces"] == source
    assert made.tags["lineage.verdict"] == "reproduced"
    assert team.get(f"runs/{made.run_id}/ancestry")["ancestry"][0]["relation"] == "reproduces"
    root = made.artifact_uri.removeprefix(f"s3://{BUCKET}/")
    kept = team.api.s3.get_object(Bucket=BUCKET, Key=f"{root}/lineage/reproduction.json")["Body"].read()
    assert json.loads(kept) == report
    assert b"done" in team.api.s3.get_object(Bucket=BUCKET, Key=f"{root}/lineage/output.log")["Body"].read()
    again = call("runs", "reproduce", made.run_id, "--reuse-environment")
    assert again.exit_code == 0, again.output
    assert "reproduced: all 2 metrics within 1e-06" in again.output


def test_what_does_not_come_out_the_same_is_told(team: Team, call: Call, tmp_path: Path) -> None:  # noqa: F811
    source = recipe_run(team, mean=4.7)
    log(team, source, metrics={"gone": 1.0, "system/cpu": 5.0})
    (tmp_path / "other.csv").write_bytes(b"x,y\n1,0\n2,1\n3.99,1\n")
    words = ("runs", "reproduce", source, "--reuse-environment", "--data", tmp_path / "other.csv")
    shown = call(*words)
    assert shown.exit_code == 1, shown.output
    assert "not reproduced: 2 of 3 metrics differ by more than 1e-06" in shown.output
    assert "note: the data is not what the run read" in shown.output
    assert verdicts(team) == [("not reproduced", "FINISHED")]
    report = document(call(*words, "--tolerance", "0.1", "--tolerance", "gone=inf", "--json"), 1)
    assert report["tolerance"] == {"relative": 0.1, "metrics": {"gone": "Infinity"}}
    assert {m["key"]: (m["now"] is None, m["same"]) for m in report["metrics"]} == {
        "gone": (True, False),
        "mean": (False, True),
        "odd": (False, True),
    }


def test_data_that_is_not_all_that_the_run_read(team: Team, call: Call, tmp_path: Path) -> None:  # noqa: F811
    source = recipe_run(team)
    other = b"x,y\n9,0\n"
    team.api.file("data/other/rows.csv", other)
    dataset = {
        "name": "other",
        "digest": compute_pandas_digest(pd.read_csv(BytesIO(other))),
        "source_type": "s3",
        "source": json.dumps({"uri": f"s3://{BUCKET}/data/other/rows.csv"}),
    }
    context = [{"key": "mlflow.data.context", "value": "training"}]
    team.api.ok("POST", "runs/log-inputs", {"run_id": source, "datasets": [{"dataset": dataset, "tags": context}]})

    def told(*more: object, code: int = 2) -> str:
        said = call("runs", "reproduce", source, "--reuse-environment", *more)
        assert said.exit_code == code, said.output
        return " ".join(said.output.split())

    assert "have a file rows.csv" in told()
    (tmp_path / "rows.csv").write_bytes(CSV)
    assert "note: the data is not what the run read" in told("--data", tmp_path / "rows.csv", code=0)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    assert "there is no such CSV file (*.csv)" in told("--data", tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_bytes(b"")
    assert "rows.csv is no CSV file with a heading: No columns to parse" in told("--data", tmp_path)
    (tmp_path / "rows.csv").write_bytes(b"x\n\xff\n")
    assert "rows.csv is no CSV file with a heading: 'utf-8'" in told("--data", tmp_path)


def test_a_commit_with_its_diff_is_run_as_it_was_started(
    team: Team,
    call: Call,  # noqa: F811
    repository: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (repository / "sub").mkdir()
    (repository / "sub" / "train it.py").write_text(SCRIPT)
    checkout = find_checkout(repository)
    assert checkout
    diff = uncommitted(checkout).diff
    code = {"command": ["python", "train it.py", "0.25"], "folder": "sub"}
    tags = {
        "mlflow.source.git.commit": checkout.commit,
        "lineage.uncommitted": hashlib.sha256(diff).hexdigest(),
    }
    source = a_run(team, metrics={"loss": 0.25}, tags=tags)
    team.artifact(source, "lineage/uncommitted.diff", diff)
    team.artifact(source, "lineage/snapshot.json", json.dumps({"code": code}).encode())
    (repository / "sub" / "train it.py").unlink()
    monkeypatch.chdir(repository)
    kept = tmp_path / "kept"
    report = document(call("runs", "reproduce", source, "--reuse-environment", "--folder", kept, "--json"))
    assert (report["reproduced"], report["code"]["origin"]) == (True, "commit")
    assert (kept / "code" / "sub" / "train it.py").exists()
    assert git(repository, "status", "--porcelain") == ""
    assert team.tags(report["run_id"])["mlflow.source.git.commit"] == checkout.commit
    assert "there already" in call("runs", "reproduce", source, "--folder", kept).output

    other = call("runs", "reproduce", source, "--reuse-environment", "--", "python", "train it.py", "0.5")
    assert other.exit_code == 1, other.output

    def refused(says: str, *more: object) -> None:
        said = call("runs", "reproduce", source, "--reuse-environment", *more)
        assert (said.exit_code, says in said.output) == (2, True), said.output

    before = len(verdicts(team))
    refused("in no git checkout", "--repository", "/")
    refused("--data is for recipes", "--data", repository)
    team.artifact(source, "lineage/uncommitted.diff", b"other")
    refused("was changed: its SHA-256 is not")
    broken = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n"
    team.artifact(source, "lineage/uncommitted.diff", broken)
    log(team, source, tags={"lineage.uncommitted": hashlib.sha256(broken).hexdigest()})
    refused("do not apply")
    log(team, source, tags={"mlflow.source.git.commit": "0" * 40})
    refused(f"the commit {'0' * 40} is not in")
    log(team, source, tags={"mlflow.source.git.commit": "--upload-pack=x"})
    refused("is no commit id")
    assert len(verdicts(team)) == before  # nothing was begun


def test_what_cannot_run_says_why(team: Team, call: Call, tmp_path: Path) -> None:  # noqa: F811
    def refused(run_id: str, says: str, *more: object) -> None:
        said = call("runs", "reproduce", run_id, "--reuse-environment", *more)
        assert (said.exit_code, says in said.output) == (2, True), said.output

    refused("nobody", "not found", "--folder", tmp_path / "a" / "new")
    refused(a_run(team), "has no metric", "--folder", tmp_path / "a" / "new")
    assert list(tmp_path.glob("a")) == []  # it can be named again
    (tmp_path / "file").touch()
    refused(recipe_run(team), "cannot be made: Not a directory", "--folder", tmp_path / "file" / "new")
    refused(a_run(team, metrics={"system/cpu": 1.0}), "has no metric (those below system/ do not count)")
    bare = a_run(team, metrics={"a": 1.0})
    refused(bare, "nothing says which code it ran")
    log(team, bare, tags={"mlflow.source.git.commit": "0" * 40, "mlflow.source.name": "train.py"})
    refused(bare, "does not say how it was started")
    assert verdicts(team) == []
    refused(recipe_run(team), "no such CSV file", "--data", tmp_path / "none.csv")
    refused(recipe_run(team), "write a number of 0 or more", "--tolerance", "x")
    refused(recipe_run(team), "has no such metric; allowed are mean, odd.", "--tolerance", "accurcy=1")
    without = a_run(team, params={"C": "2"}, metrics={"mean": 1.0})
    team.artifact(without, "recipe/train.py", RECIPE)
    refused(without, "says where it lies. Give its CSV files: --data PATH")
    gone = recipe_run(team)
    team.api.s3.delete_object(Bucket=BUCKET, Key="data/m/rows.csv")
    refused(gone, "is not at s3://")
    assert verdicts(team) == []
    failing = recipe_run(team, recipe=b"raise SystemExit('out of luck')")
    refused(failing, "out of luck")
    refused(recipe_run(team, recipe=b"print(1)"), "without a usable output/data/metrics.json")
    assert verdicts(team) == [("could not run", "FAILED")] * 2
    team.api.ok("POST", "experiments/delete", {"experiment_id": "0"})
    refused(failing, "active")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ArtifactError("S3 says no"), "FAILED"),
        (ApiError("the API says no", status=403), "FAILED"),
        (PermissionError(13, "the disk says no"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
    ],
)
def test_whatever_ends_it_the_new_run_ends_with_a_verdict(
    team: Team, tmp_path: Path, error: BaseException, status: str
) -> None:
    class Failing(Artifacts):
        """Does not take the report."""

        def write(self, root: str, path: str, content: bytes) -> None:
            if path.endswith("reproduction.json"):
                raise error
            super().write(root, path, content)

    client = RunsClient()
    reproduction = Reproduction(client, Failing(client), lambda line: None)
    with pytest.raises((LabcycleError, KeyboardInterrupt)):
        reproduction(recipe_run(team), Wanted(reuse_environment=True), tmp_path / "new")
    assert verdicts(team) == [("could not run", status)]


def test_an_end_that_cannot_be_told_hides_no_error(team: Team, tmp_path: Path) -> None:
    class Gone(RunsClient):
        """Closed runs can be written no more."""

        def set_status(self, run_id: str, status: str) -> None:
            raise ApiError(f"no {status}")

    said: list[str] = []
    with pytest.raises(CannotReproduce, match="out of luck"):
        Reproduction(Gone(), Artifacts(Gone()), said.append)(
            recipe_run(team, recipe=b"raise SystemExit('out of luck')"),
            Wanted(reuse_environment=True),
            tmp_path / "new",
        )
    assert said[-1].endswith("does not say that it ended: no FAILED")


def test_every_python_of_a_command_is_the_one_that_is_meant(
    team: Team,
    call: Call,  # noqa: F811
    repository: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = f"import sys; sys.argv = ['', str(float(sys.prefix == {sys.prefix!r}))]"
    (repository / "train.py").write_text(here + SCRIPT)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "train")
    checkout = find_checkout(repository)
    assert checkout
    source = a_run(team, metrics={"loss": 1.0}, tags={"mlflow.source.git.commit": checkout.commit})
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    for command in (("python", "train.py"), ("python3", "train.py"), ("sh", "-c", "python3 train.py")):
        words = ("--reuse-environment", "--repository", repository, "--", *command)
        said = call("runs", "reproduce", source, *words)
        assert said.exit_code == 0, said.output


def test_a_fresh_environment(
    team: Team,
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "boto3.py").touch()
    (tmp_path / "no_such_package-1.dist-info").mkdir()
    (tmp_path / "no_such_package-1.dist-info" / "METADATA").write_text("Name: no-such-package\nVersion: 1\n")
    alone = RECIPE + (
        b"import importlib.metadata as m, importlib.util as u, subprocess, sys\n"
        b"asked = 'python3 -c \"import sys; print(sys.prefix)\"'\n"
        b"assert subprocess.check_output(asked, shell=True, text=True).strip() == sys.prefix == os.environ['VIRTUAL_ENV']\n"
        b"assert sys.prefix != sys.base_prefix and u.find_spec('boto3') is None\n"
        b"assert [e.name for e in m.entry_points(group='mlflow.request_auth_provider')] == ['labcycle']\n"
    )
    source = recipe_run(team, recipe=alone)
    said = call("runs", "reproduce", source)
    assert (said.exit_code, "recorded no libraries" in said.output) == (2, True)

    def locked(text: bytes) -> None:
        team.artifact(source, "lineage/requirements.txt", text)
        log(team, source, tags={"lineage.requirements": hashlib.sha256(text).hexdigest()})

    here = f"# labcycle=={version('labcycle')} was installed from a folder or file\n"
    locked(b"# mine==1 was installed from a folder or file\n" + here.encode())
    report = document(call("runs", "reproduce", source, "--json"))
    assert (report["reproduced"], report["environment"]["reused"]) == (True, False)
    assert report["environment"]["different"] == [{"package": "mine", "recorded": "1", "here": None}]
    assert [note for note in report["notes"] if "mine 1 was installed from a folder" in note]
    locked(b"no-such-package==1\n")
    said = call("runs", "reproduce", source)
    assert (said.exit_code, "no-such-package==1" in said.output) == (2, True), said.output
    assert "--reuse-environment" in said.output
    log(team, source, tags={"lineage.python": "3.2.1"})
    said = call("runs", "reproduce", source)
    assert (said.exit_code, "there is no python3.2 on the path" in said.output) == (2, True), said.output


def test_what_a_model_needs_is_joined_by_what_signs(
    team: Team,
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    for name in ("boto3", "small"):
        with ZipFile(tmp_path / f"{name}-1-py3-none-any.whl", "w") as wheel:
            about = f"{name}-1.dist-info"
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    source = recipe_run(team, recipe=RECIPE + b"import boto3, small, labcycle.client.mlflow_headers\n")
    asked = {"experiment_id": "0", "source_run_id": source}
    model = team.api.ok("POST", "logged-models", asked)["model"]["info"]
    team.api.ok("POST", "runs/outputs", {"run_id": source, "models": [{"model_id": model["model_id"], "step": 0}]})
    root = model["artifact_uri"].removeprefix(f"s3://{BUCKET}/")
    team.api.file(f"{root}/requirements.txt", b"small==1\n")
    report = document(call("runs", "reproduce", source, "--json"))
    assert (report["reproduced"], report["environment"]["different"]) == (True, [])


def test_packages_that_differ_are_told(team: Team, call: Call) -> None:  # noqa: F811
    source = recipe_run(team)
    text = (
        b"boto3==0.0.1\nno-such-package==1\n"
        + "".join(line for line in lock().splitlines(keepends=True) if line.startswith("rich==")).encode()
    )
    team.artifact(source, "lineage/requirements.txt", text)
    log(team, source, tags={"lineage.requirements": hashlib.sha256(text).hexdigest()})
    report = document(call("runs", "reproduce", source, "--reuse-environment", "--json"))
    assert [(d["package"], d["recorded"]) for d in report["environment"]["different"]] == [
        ("boto3", "0.0.1"),
        ("no-such-package", "1"),
    ]


@pytest.mark.parametrize(
    ("was", "now", "given", "same"),
    [
        (1.0, 1.0000005, [], True),
        (1.0, 1.00001, [], False),
        (1.0, 1.00001, ["1e-4"], True),
        (1.0, 2.0, ["m=inf"], True),
        (1.0, 2.0, ["m=0.1", "9"], False),
        (0.0, 1e-15, ["0"], True),
        (float("nan"), float("nan"), [], True),
        (float("nan"), 1.0, ["9"], False),
        (float("inf"), float("inf"), [], True),
        (float("inf"), 1.0, ["0.5"], False),
        (1.0, float("nan"), [], False),
    ],
)
def test_the_tolerance(was: float, now: float, given: list[str], same: bool) -> None:
    assert judge({"m": was, "system/x": 1}, {"m": now}, Tolerance.of(given))[0]["same"] is same
    assert len(judge({"m": was, "system/x": 1}, {}, Tolerance.of(given))) == 1
