"""The snapshot of a run, by the stock client, and what the API then tells of the run."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import mlflow
import pytest

from labcycle.client import record
from labcycle.errors import LabcycleError
from labcycle_lambdas.lineage import parts as told
from tests.unit.client.test_uncommitted import git, repository  # noqa: F401 - a fixture
from tests.unit.lineage.conftest import Team, team  # noqa: F401 - a fixture
from tests.unit.tracking.conftest import BUCKET, api  # noqa: F401 - a fixture

pytestmark = pytest.mark.usefixtures("team")


def artifact(team: Team, run_id: str, name: str) -> bytes:  # noqa: F811
    root = team.api.ledgers.runs.get(run_id).artifact_uri.removeprefix(f"s3://{BUCKET}/")
    return team.api.s3.get_object(Bucket=BUCKET, Key=f"{root}/lineage/{name}")["Body"].read()


def states(team: Team, run_id: str) -> dict[str, str]:  # noqa: F811
    return {part["name"]: part["state"] for part in team.get(f"runs/{run_id}/completeness")["parts"]}


def started(monkeypatch: pytest.MonkeyPatch, *command: str) -> None:
    """As if a script was started so; a worker of the tests runs none."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "train.py", raising=False)
    monkeypatch.setattr(sys, "orig_argv", list(command))


def test_client_and_function_mean_the_same_tags() -> None:
    for name in ("COMMIT", "UNCOMMITTED", "LEFT_OUT", "REQUIREMENTS", "PYTHON", "PLATFORM", "IMAGE", "CLEAN"):
        assert getattr(record, name) == getattr(told, name)


def test_two_lines_make_code_environment_and_libraries_whole(
    team: Team,  # noqa: F811
    repository: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (repository / "train.py").write_text("print(2)\n")
    monkeypatch.chdir(repository)
    started(monkeypatch, "/usr/bin/python3", str(repository / "train.py"), "--rate", "0.1")
    with mlflow.start_run() as run:
        assert states(team, run.info.run_id)["libraries"] == "missing"
        made = record.snapshot(repository)
    run_id = run.info.run_id
    assert (made.run_id, made.left_out) == (run_id, ())
    found = states(team, run_id)
    assert [found[name] for name in ("code", "environment", "libraries")] == ["found"] * 3
    tags = team.tags(run_id)
    assert tags["mlflow.source.git.commit"] == git(repository, "rev-parse", "HEAD").strip()
    diff, lock = artifact(team, run_id, "uncommitted.diff"), artifact(team, run_id, "requirements.txt")
    assert b"+print(2)" in diff
    assert tags["lineage.uncommitted"] == hashlib.sha256(diff).hexdigest()
    assert tags["lineage.requirements"] == hashlib.sha256(lock).hexdigest()
    assert json.loads(tags["lineage.command"]) == ["python", "train.py", "--rate", "0.1"]
    kept = json.loads(artifact(team, run_id, "snapshot.json"))
    assert (kept["code"]["folder"], kept["code"]["branch"]) == (".", "main")
    assert kept["environment"]["python"].startswith("3.")


def test_what_was_left_out_is_told_until_it_is_mended(team: Team, repository: Path) -> None:  # noqa: F811
    (repository / ".env").write_text("A=1")
    with mlflow.start_run() as run:
        made = record.snapshot(repository)
        assert ".env (its name says that it holds secrets)" in made.left_out
        assert states(team, run.info.run_id)["code"] == "partial"
        (repository / ".gitignore").write_text("*.csv\n.env\n")
        record.snapshot(repository)
        assert states(team, run.info.run_id)["code"] == "found"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["train.py", "--api-key", "x"], "it looks like it holds a secret"),
        (["train.py", "--token=x"], "it looks like it holds a secret"),
        (["train.py", "db.password=hunter2"], "it looks like it holds a secret"),
        (["train.py", "--db", "postgres://u:pw@h/d"], "it looks like it holds a secret"),
        (["train.py", "sk-" + "a1" * 20], "it looks like it holds a secret"),
        (["x" * 6000], "it runs in a notebook, or is too long"),
    ],
)
def test_a_command_with_a_secret_or_too_long_is_not_recorded(
    team: Team,  # noqa: F811
    repository: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    why: str,
) -> None:
    started(monkeypatch, "python", *words)
    with mlflow.start_run() as run:
        made = record.snapshot(repository)
    assert made.left_out == (f"the command: {why}",)
    assert "lineage.command" not in team.tags(run.info.run_id)


def test_a_command_that_only_sounds_like_a_secret_is_recorded(
    team: Team,  # noqa: F811
    repository: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ["train.py", "--max-tokens", "128", "tokenizer=bert", "data/secret-santa.csv", "rate=0.1"]
    started(monkeypatch, "python", *words)
    with mlflow.start_run() as run:
        assert record.snapshot(repository).left_out == ()
    assert json.loads(team.tags(run.info.run_id)["lineage.command"]) == ["python", *words]


def test_in_no_repository_and_before_the_first_commit(
    team: Team,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with mlflow.start_run() as run:
        assert record.snapshot(tmp_path).left_out == ("the code: it is in no git checkout",)
        git(tmp_path, "init", "--quiet")
        assert "the code: its repository has no commit yet" in record.snapshot(tmp_path).left_out
    found = states(team, run.info.run_id)
    assert (found["code"], found["libraries"]) == ("missing", "found")


def test_where_git_refuses_it_says_what_git_says(
    team: Team,  # noqa: F811
    repository: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with mlflow.start_run() as run:
        (said,) = record.snapshot(repository).left_out
    assert said.startswith("the code: fatal: detected dubious ownership")
    assert team.tags(run.info.run_id)["lineage.left_out"] == said


def test_the_later_snapshot_counts(
    team: Team,  # noqa: F811
    repository: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setenv("LABCYCLE_IMAGE", "repository/image@sha256:1")
    git(repository, "remote", "add", "origin", "https://example.com/x.git")
    started(monkeypatch, "python", "train.py")
    with mlflow.start_run() as run:
        before = record.snapshot(repository).tags
        assert {record.COMMIT, record.BRANCH, record.REMOTE, record.COMMAND, record.IMAGE} < set(before)
        assert "" not in before.values()
        monkeypatch.delenv("LABCYCLE_IMAGE")
        after = record.snapshot(tmp_path).tags
    tags = team.tags(run.info.run_id)
    assert set(after) == set(before)
    for key in (record.COMMIT, record.BRANCH, record.REMOTE, record.UNCOMMITTED, record.COMMAND, record.IMAGE):
        assert tags[key] == ""
    assert states(team, run.info.run_id)["code"] == "missing"


def test_a_commit_that_somebody_else_told_stays(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with mlflow.start_run(tags={record.COMMIT: "a" * 40}) as run:
        for _ in range(2):
            assert "" not in record.snapshot(tmp_path).tags.values()
    assert team.tags(run.info.run_id)[record.COMMIT] == "a" * 40


def test_without_a_run() -> None:
    with pytest.raises(LabcycleError, match="no run is active"):
        record.snapshot()
