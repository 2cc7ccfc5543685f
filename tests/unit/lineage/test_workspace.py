"""`labcycle workspace open`: what built a version, and the commands that make it anew, which really do."""

from __future__ import annotations

import hashlib
import json
import shlex

from tests.unit.lineage.conftest import Team
from tests.unit.lineage.test_commands import Call, a_run, call, document, log  # noqa: F401 - a fixture
from tests.unit.lineage.test_explanation import MODEL, register

LOCK = b"numpy==2.1.0\nscikit-learn==1.5.2\n# ours @ file:///home/ada/ours\n"
TAGS = {
    "mlflow.source.git.commit": "a" * 40,
    "mlflow.source.git.repoURL": "https://git.example/fraud; rm -rf .git",
    "lineage.uncommitted": "b" * 64,
    "lineage.python": "3.11.4",
    "lineage.platform": "Linux-6.1-x86_64",
    "lineage.image": "registry/sklearn@sha256:0a",
    "lineage.requirements": hashlib.sha256(LOCK).hexdigest(),
}


def recorded(team: Team, **more: str) -> str:
    run_id = a_run(team, tags=TAGS | more)
    team.artifact(run_id, "lineage/requirements.txt", LOCK)
    source = json.dumps({"uri": "s3://data/rows.csv"})
    dataset = {"name": "rows", "digest": "0a", "source_type": "s3", "source": source}
    team.api.ok("POST", "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": dataset, "tags": []}]})
    register(team, run_id)
    return run_id


def test_the_environment_of_what_is_live(team: Team, call: Call) -> None:  # noqa: F811
    run_id = recorded(team)
    team.promote(MODEL, 1)
    register(team)
    found = document(call("workspace", "open", MODEL, "--json"))
    assert (found["version"], found["live"], found["run_id"]) == (1, True, run_id)
    assert (found["python"], found["image"]) == ("3.11.4", "registry/sklearn@sha256:0a")
    assert found["libraries"]["scikit-learn"] == "1.5.2" and found["libraries_from"] == "lineage/requirements.txt"
    assert found["data"][0]["location"] == "s3://data/rows.csv"
    assert found["commands"] == [
        "git clone 'https://git.example/fraud; rm -rf .git' code",
        f"git -C code checkout {'a' * 40}",
        f"mlflow artifacts download --run-id {run_id} --artifact-path lineage/uncommitted.diff --dst-path lineage",
        "git -C code apply ../lineage/uncommitted.diff",
        "python3.11 -m venv .venv",
        f"mlflow artifacts download --run-id {run_id} --artifact-path lineage/requirements.txt --dst-path lineage",
        ".venv/bin/python -m pip install --no-deps -r lineage/requirements.txt",
        f"labcycle runs reproduce {run_id}",
    ]
    assert any("on no index: ours" in note for note in found["notes"])
    assert any("in the image registry/sklearn" in note for note in found["notes"])
    output = call("workspace", "open", MODEL).stdout
    assert "version 1 (live), built by run" in output and "numpy 2.1.0" in output
    assert "workspaces are not started by this command yet" in output


def test_a_recipe_comes_before_a_commit(team: Team, call: Call) -> None:  # noqa: F811
    run_id = recorded(team)
    team.artifact(run_id, "recipe/train.py", b"print()")
    found = document(call("workspace", "open", f"{MODEL}/1", "--json"))
    assert (found["live"], found["recipe"]) == (False, True)
    assert found["commands"][0] == f"mlflow artifacts download --run-id {run_id} --artifact-path recipe --dst-path ."
    assert not any(command.startswith("git") for command in found["commands"])


def test_what_was_not_recorded_is_named(team: Team, call: Call) -> None:  # noqa: F811
    run_id = a_run(team, tags={"mlflow.source.git.commit": "a" * 40, "lineage.uncommitted": "none"})
    register(team, run_id)
    result = call("workspace", "open", MODEL)
    assert result.exit_code == 1
    assert f"the record lacks data, environment, libraries; see how to supply it: labcycle runs parts {run_id}" in (
        result.stdout
    )
    assert "git clone REPOSITORY code" in result.stdout and "put its address in the place of" in result.stdout


def test_a_version_without_a_run_is_an_error(team: Team, call: Call) -> None:  # noqa: F811
    register(team)
    result = call("workspace", "open", MODEL)
    assert result.exit_code == 2 and "its run is not in this ledger" in result.stderr


def test_commands_are_words_of_a_shell(team: Team, call: Call) -> None:  # noqa: F811
    recorded(team, **{"lineage.python": "3.1$(x)"})
    for command in document(call("workspace", "open", MODEL, "--json"))["commands"]:
        words = shlex.split(command)
        assert shlex.join(words) == command or words[:2] == ["python3.1$(x)", "-m"]
