"""`labcycle batch`, with the rights of a reviewer's role, against batches as they are deployed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from labcycle.cli import app
from labcycle.client import batch
from labcycle.client.api import TeamApi
from labcycle.client.own_rights import OwnRights
from tests.cloud.harness.machines import executions, finish
from tests.cloud.serving.test_batch import FIRST, MODEL, SECOND, Batches, table
from tests.cloud.team import Team

Call = Callable[..., Result]


@pytest.fixture
def batches(fraud: Team) -> Batches:
    return Batches(fraud)


@pytest.fixture
def call(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> Call:
    """The command; while it waits for a run, the run ends."""
    team, reviewer = batches.team, batches.reviewer

    def api(self: TeamApi, method: str, path: str, *, body: Mapping[str, Any] | None = None, query: Any = None) -> Any:
        answer = reviewer.call(method, path, body=body)
        assert answer.status == 200, str(answer)
        return answer.json()

    def wait(seconds: float) -> None:
        for execution in set(executions(batches.machine)) - batches.known:
            finish(execution)

    def client(self: OwnRights, service: str) -> Any:
        assert self.region == team.place.region
        return team.cloud.client(service, team.place, reviewer.caller.role)

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://abc.execute-api.eu-west-1.amazonaws.com")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(TeamApi, "call", api)
    monkeypatch.setattr(OwnRights, "client", client)
    monkeypatch.setattr(batch, "time", SimpleNamespace(sleep=wait))
    return lambda *words: CliRunner().invoke(app, ["batch", *words])


def lines(result: Result) -> Sequence[str]:
    """What the command printed, and not the functions of the cloud, which log to the same place."""
    return [line for line in result.stdout.splitlines() if not line.startswith('{"')]


def document(result: Result) -> Any:
    return json.loads("\n".join(lines(result)))


def test_a_run_is_started_and_followed(batches: Batches, call: Call) -> None:
    batches.put("a.csv", table(FIRST))
    batches.put("b.csv", table(SECOND))
    followed = call("start", MODEL, "--name", "monday", "--watch")
    assert followed.exit_code == 0, followed.output
    started = batches.manifest("monday")["started"]
    assert lines(followed)[-3:] == [
        f"{MODEL}: the run monday is complete; 2 of 2 objects are scored by version {batches.version}, started {started}",
        "rows: 5, of which 0 failed",
        f"all that it wrote: s3://{batches.team.bucket}/batch/{MODEL}/out/monday/",
    ]
    taken = call("start", MODEL, "--name", "monday")
    assert taken.exit_code == 2 and "a name is taken once" in taken.stderr


def test_what_failed_is_told_mended_and_gone_on_with(batches: Batches, call: Call) -> None:
    batches.put("a.csv", table(FIRST))
    batches.put("broken.csv", b"amount,hour\n1,2\n\xff\xfe,3\n")
    followed = call("start", MODEL, "--name", "tuesday", "--watch")
    assert followed.exit_code == 1
    assert any(line.startswith("failed: broken.csv: ") for line in lines(followed))
    assert f"to go on with it: labcycle batch start {MODEL} --resume tuesday" in lines(followed)
    batches.put("broken.csv", table(SECOND))
    mended = call("start", MODEL, "--resume", "tuesday", "--watch", "--json")
    assert mended.exit_code == 0, mended.output
    found = document(mended)
    assert (found["run"], found["verdict"], found["rows"], found["failed"]) == (
        "tuesday",
        "complete",
        5,
        [],
    )
    shown = call("show", MODEL, "tuesday")
    assert shown.exit_code == 0 and "the run tuesday is complete" in shown.stdout


def test_while_it_goes_on_the_verdict_of_before_is_not_told(
    batches: Batches, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches.put("a.csv", table(FIRST))
    batches.run("wednesday")
    key = f"batch/{MODEL}/out/wednesday/plans"
    s3 = batches.team.place.client("s3")
    s3.copy_object(
        Bucket=batches.team.bucket, Key=f"{key}/again.json", CopySource=f"{batches.team.bucket}/{key}/wednesday.json"
    )
    monkeypatch.setattr(
        batch.Batches, "_execution", lambda self, name: {"status": "RUNNING"} if name == "again" else None
    )
    shown = call("show", MODEL, "wednesday")
    assert shown.exit_code == 0 and "the run wednesday is under way" in shown.stdout


def test_the_last_runs_and_one_that_could_not_begin(batches: Batches, call: Call) -> None:
    assert "no batch has run yet" in call("show", MODEL).stdout
    batches.put("a.csv", table(FIRST))
    for name in ("one", "two"):
        batches.run(name)
    listed = document(call("show", MODEL, "--json"))["runs"]
    assert [(one["run"], one["rows"], one["verdict"]) for one in listed] == [
        ("two", 3, "complete"),
        ("one", 3, "complete"),
    ]
    assert [line.split()[1] for line in lines(call("show", MODEL)) if line.startswith("│")] == ["two", "one"]
    path = f"/labcycle/1.0/models/{MODEL}"
    assert batches.reviewer.call("POST", f"{path}/pause", body={}).status == 200
    refused = call("start", MODEL, "--name", "paused", "--watch")
    assert refused.exit_code == 1
    assert any(line.startswith("it broke off: ") and "makes no predictions" in line for line in lines(refused))
    assert batches.reviewer.call("POST", f"{path}/resume", body={}).status == 200


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("show", MODEL, "never"), "has no run never"),
        (("start", MODEL, "--resume", "never"), "has no run never to go on with"),
        (("start", MODEL, "--name", "a b"), "--name: got a b; allowed 1 to 80 letters"),
        (("show", MODEL, "--watch"), "--watch without a run"),
        (("show", "nobody"), "nobody has no batches"),
    ],
)
def test_mistakes_are_told(batches: Batches, call: Call, words: Sequence[str], says: str) -> None:
    result = call(*words)
    assert result.exit_code == 2 and says in " ".join(result.stderr.split()), result.output
    batches.cloud.guard.refused.clear()
