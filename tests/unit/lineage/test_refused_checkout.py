"""A checkout that git does not read: as root over a mounted one, say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.client.test_uncommitted import repository  # noqa: F401 - a fixture
from tests.unit.lineage.conftest import Team
from tests.unit.lineage.test_commands import Call, a_run, call, document  # noqa: F401 - a fixture

COMMITS = ("a" * 40, "b" * 40)


@pytest.fixture(autouse=True)
def _refused(team: Team, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.chdir(repository)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")


def test_reproducing_says_what_git_says(team: Team, call: Call) -> None:  # noqa: F811
    run_id = a_run(team, tags={"mlflow.source.git.commit": COMMITS[0]}, metrics={"loss": 1.0})
    said = call("runs", "reproduce", run_id, "--reuse-environment", "--", "python", "train.py")
    assert said.exit_code == 2
    assert "dubious ownership" in said.output


def test_comparing_goes_without_the_files(team: Team, call: Call) -> None:  # noqa: F811
    runs = [a_run(team, tags={"mlflow.source.git.commit": commit}) for commit in COMMITS]
    assert document(call("runs", "compare", *runs, "--json"))["code"]["files"] is None


def test_what_a_later_snapshot_emptied_is_not_the_same(team: Team, call: Call) -> None:  # noqa: F811
    tags = {"mlflow.source.git.commit": "", "lineage.uncommitted": ""}
    said = document(call("runs", "compare", a_run(team, tags=tags), a_run(team, tags=tags), "--json"))["code"]
    assert (said["same"], said["commit"]) == (False, {"a": None, "b": None})
