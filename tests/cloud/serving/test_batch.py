"""Batches as they are deployed: the schedule, the state machine, and the function that scores objects of the bucket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.cloud.harness.machines import executions, finish, history
from tests.cloud.team import COLUMNS, Member, Rows, Team

MODEL = "card-fraud"
STACK = f"model-{MODEL}"
LARGE: Rows = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in (0, 6, 12, 18)]
SMALL: Rows = [(amount, hour, 1 - target) for amount, hour, target in LARGE]
FIRST = [(2.0, 3), (-2.0, 4), (0.5, 5)]
SECOND = [(-1.5, 6), (1.25, 7)]
ATTEMPTS_OF_S3 = 5  # of the SDK in one call
ATTEMPTS_OF_DYNAMODB = 10


def table(rows: Sequence[Sequence[object]], columns: Sequence[str] = COLUMNS) -> bytes:
    return "\n".join(",".join(str(value) for value in row) for row in [columns, *rows]).encode() + b"\n"


def records(rows: Sequence[Sequence[object]]) -> bytes:
    return "".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows).encode()


class Batches:
    """The batches of the production team's model, which is live in one version."""

    def __init__(self, team: Team) -> None:
        self.team, self.cloud = team, team.cloud
        self.scientist, self.reviewer = team.member("scientist-1"), team.member("reviewer-1")
        self.machine = team.output(STACK, "BatchStateMachine")
        self.known = set(executions(self.machine))
        self.hear: Callable[[], list[str]] = team.cloud.listen(team.notices)
        self.version = self.go_live(LARGE)
        team.cloud.functions.restart("Batch")

    def go_live(self, rows: Rows) -> int:
        version = self.scientist.log_model(MODEL, rows)
        self.reviewer.promote(MODEL, version)
        self.team.restart_servers()
        return version

    def put(self, name: str, content: bytes, member: Member | None = None) -> None:
        s3 = (member or self.scientist).s3
        s3.put_object(Bucket=self.team.bucket, Key=f"batch/{MODEL}/in/{name}", Body=content)

    def start(self, name: str, **given: str) -> str:
        """A reviewer starts a run."""
        states = self.cloud.client("stepfunctions", self.team.place, self.reviewer.caller.role)
        arn: str = states.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps(given))[
            "executionArn"
        ]
        return arn

    def run(self, name: str, status: str = "SUCCEEDED", **given: str) -> dict[str, Any]:
        """The description of a run that has ended so."""
        ended = finish(arn := self.start(name, **given))
        assert ended["status"] == status, "\n".join(history(arn))
        return ended

    def read(self, run: str, key: str) -> bytes:
        """What a run wrote, as a reviewer reads it."""
        key = f"batch/{MODEL}/out/{run}/{key}"
        content: bytes = self.reviewer.s3.get_object(Bucket=self.team.bucket, Key=key)["Body"].read()
        return content

    def lines(self, run: str, key: str) -> list[Any]:
        return [json.loads(line) for line in self.read(run, f"{key}.jsonl").splitlines()]

    def manifest(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read(run, "manifest.json"))
        return found

    def written(self, run: str) -> dict[str, str]:
        """When the objects of a run were written, by their keys below its folder."""
        prefix = f"batch/{MODEL}/out/{run}/"
        found = self.team.place.client("s3").list_object_versions(Bucket=self.team.bucket, Prefix=prefix)
        return {v["Key"].removeprefix(prefix): v["VersionId"] for v in found.get("Versions", ()) if v["IsLatest"]}

    def ask(self, rows: Sequence[Sequence[object]]) -> list[Any]:
        """What the API says to the same rows."""
        body = {"dataframe_split": {"columns": COLUMNS, "data": [list(row) for row in rows]}}
        answer = self.team.model(MODEL).call("POST", "/invocations", self.reviewer.caller, body=body)
        assert answer.status == 200, str(answer)
        predictions: list[Any] = answer.json()["predictions"]
        return predictions

    def raised(self) -> set[str]:
        """The errors that functions raised, which are expected then."""
        errors = {failure.error for failure in self.cloud.functions.failures}
        self.cloud.functions.failures.clear()
        return errors


@pytest.fixture
def batches(fraud: Team) -> Batches:
    return Batches(fraud)


def test_objects_are_scored_as_the_api_answers(batches: Batches) -> None:
    batches.put("first.csv", table(FIRST))
    batches.put("day/second.jsonl", records(SECOND))
    batches.put("other-order.csv", table([(hour, amount) for amount, hour in FIRST], COLUMNS[::-1]))
    output = json.loads(batches.run("good")["output"])
    assert output == {
        "verdict": "complete",
        "run": "good",
        "manifest": f"s3://{batches.team.bucket}/batch/{MODEL}/out/good/manifest.json",
    }
    for name, rows in (("first.csv", FIRST), ("day/second.jsonl", SECOND), ("other-order.csv", FIRST)):
        lines = batches.lines("good", f"predictions/{name}")
        assert [line["row"] for line in lines] == list(range(1, len(rows) + 1))
        assert [line["prediction"] for line in lines] == batches.ask(rows)
    manifest = batches.manifest("good")
    live = batches.reviewer.deployment(MODEL)["live"]
    assert (manifest["version"], manifest["model_sha256"]) == (batches.version, live["model_file"]["sha256"])
    assert (manifest["verdict"], manifest["rows"], manifest["failed_rows"]) == ("complete", 8, 0)
    assert (
        manifest["started"] <= manifest["objects"][0]["started"] <= manifest["objects"][0]["ended"] <= manifest["ended"]
    )
    (first,) = [one for one in manifest["objects"] if one["object"] == "first.csv"]
    assert first["input"]["sha256"] == hashlib.sha256(table(FIRST)).hexdigest()
    predictions = batches.read("good", "predictions/first.csv.jsonl")
    assert first["predictions"]["sha256"] == hashlib.sha256(predictions).hexdigest()
    assert batches.hear() == []
    assert not any(key.startswith("errors/") for key in batches.written("good"))


def test_what_fails_is_told_and_fails_nothing_else_and_is_all_that_is_done_again(batches: Batches) -> None:
    for name, rows in (("a.csv", FIRST), ("b.csv", SECOND), ("c.csv", FIRST)):
        batches.put(name, table(rows))
    batches.put("broken.csv", b"amount,hour\n1,2\n\xff\xfe,3\n")
    bad = [*FIRST, ("much", 1), (1.0,), *SECOND]
    batches.put("bad-rows.csv", table(bad))
    assert json.loads(batches.run("one")["output"])["verdict"] == "partial"
    manifest = batches.manifest("one")
    assert (manifest["verdict"], manifest["failed_objects"]) == ("partial", 1)
    assert (manifest["rows"], manifest["failed_rows"]) == (8 + 7, 2)
    by_name = {one["object"]: one for one in manifest["objects"]}
    assert {name: one["status"] for name, one in by_name.items()} == {
        "a.csv": "scored",
        "b.csv": "scored",
        "c.csv": "scored",
        "broken.csv": "failed",
        "bad-rows.csv": "scored",
    }
    assert "not UTF-8" in by_name["broken.csv"]["why"]
    good = batches.lines("one", "predictions/bad-rows.csv")
    assert [line["row"] for line in good] == [1, 2, 3, 6, 7]
    assert [line["prediction"] for line in good] == batches.ask([*FIRST, *SECOND])
    assert batches.lines("one", "errors/bad-rows.csv") == [
        {"row": 4, "error": "Column 'amount': expected a number, got 'much'."},
        {"row": 5, "error": "It has 1 values for 2 columns."},
    ]
    (notice,) = batches.hear()
    assert "Objects: 5, of which 1 failed." in notice
    assert "broken.csv: it is not UTF-8" in notice
    assert '{"resume": "one"}' in notice

    before = batches.written("one")
    batches.put("broken.csv", table(SECOND))
    batches.put("late.csv", table(SECOND))
    second = batches.go_live(SMALL)
    batches.run("two", resume="one")
    manifest = batches.manifest("one")
    assert (manifest["verdict"], manifest["failed_objects"], manifest["failed_rows"]) == ("partial", 0, 2), "2 of 19"
    assert manifest["version"] == batches.version != second, "one version scores the whole run"
    changed = {key for key, version in batches.written("one").items() if before.get(key) != version}
    assert changed == {
        "manifest.json",
        "plans/two.json",
        *(f"predictions/{name}.jsonl" for name in ("broken.csv", "late.csv")),
        *(f"results/{name}.json" for name in ("broken.csv", "late.csv")),
        "errors/broken.csv.jsonl",
    }
    assert batches.lines("one", "errors/broken.csv") == []
    flipped = [1 - prediction for prediction in batches.ask(SECOND)]
    assert [line["prediction"] for line in batches.lines("one", "predictions/late.csv")] == flipped
    batches.put("bad-rows.csv", table(FIRST))
    assert json.loads(batches.run("three", resume="one")["output"])["verdict"] == "complete"
    assert batches.lines("one", "errors/bad-rows.csv") == []


def test_calls_that_are_throttled_are_made_again(batches: Batches) -> None:
    batches.put("a.csv", table(FIRST))
    record = batches.cloud.faults.throttle("dynamodb.GetItem", times=ATTEMPTS_OF_DYNAMODB, function="Batch")
    stored = batches.cloud.faults.throttle("s3.PutObject", times=ATTEMPTS_OF_S3, skip=1, function="Batch")
    assert json.loads(batches.run("busy")["output"])["verdict"] == "complete"
    assert (record.struck, stored.struck) == (ATTEMPTS_OF_DYNAMODB, ATTEMPTS_OF_S3)
    assert batches.raised() == {"Throttled"}
    assert [line["prediction"] for line in batches.lines("busy", "predictions/a.csv")] == batches.ask(FIRST)


def test_an_object_at_which_each_try_fails_has_no_result_until_the_run_is_resumed(batches: Batches) -> None:
    batches.put("a.csv", table(FIRST))
    tries = 7
    # The plan is put first, then what is made of the object.
    stored = batches.cloud.faults.throttle("s3.PutObject", times=tries * ATTEMPTS_OF_S3, skip=1, function="Batch")
    batches.run("unlucky", "FAILED")
    assert stored.struck == tries * ATTEMPTS_OF_S3
    assert batches.raised() == {"Throttled"}
    (notice,) = batches.hear()
    assert "a.csv: it has no result: each try failed" in notice
    assert json.loads(batches.run("luckier", resume="unlucky")["output"])["verdict"] == "complete"
    assert [line["prediction"] for line in batches.lines("unlucky", "predictions/a.csv")] == batches.ask(FIRST)


def test_the_schedule_starts_a_run_that_says_when_it_found_nothing(batches: Batches) -> None:
    schedules = batches.team.place.client("scheduler")
    (name,) = [
        one["Name"] for one in schedules.list_schedules()["Schedules"] if one["Target"]["Arn"] == batches.machine
    ]
    schedule = schedules.get_schedule(Name=name)
    assert (schedule["ScheduleExpression"], schedule["ScheduleExpressionTimezone"]) == (
        "cron(0 5 * * ? *)",
        "Europe/Berlin",
    )
    batches.cloud.fire_schedule(batches.team.place, name)
    (execution,) = set(executions(batches.machine)) - batches.known
    ended = finish(execution)
    assert ended["status"] == "SUCCEEDED", "\n".join(history(execution))
    assert json.loads(ended["output"])["verdict"] == "empty"
    (notice,) = batches.hear()
    assert "found nothing to score" in notice


def test_a_run_in_which_nothing_could_be_scored_fails_and_is_told(batches: Batches) -> None:
    batches.put("wrong.csv", table(FIRST, ["amount", "minute"]))
    batches.put("picture.png", b"\x89PNG")
    ended = batches.run("nothing", "FAILED")
    assert (ended["error"], ended["cause"]) == ("NothingScored", "2 of 2 objects failed; the manifest says why")
    (notice,) = batches.hear()
    assert "missing: 'hour'; not known to the model: 'minute'" in notice
    assert "picture.png: its name ends with none of .csv, .jsonl, .ndjson" in notice


@pytest.mark.parametrize(
    ("given", "says"),
    [({"resume": "never"}, "there is no run never of card-fraud"), ({"resume": "../x"}, "must be the name of a run")],
)
def test_what_cannot_be_resumed_is_told(batches: Batches, given: dict[str, str], says: str) -> None:
    assert says in batches.run(f"not-{len(says)}", "FAILED", **given)["cause"]
    (notice,) = batches.hear()
    assert says in notice


def test_without_a_live_version_nothing_begins(fraud: Team) -> None:
    hear = fraud.cloud.listen(fraud.notices)
    states = fraud.cloud.client("stepfunctions", fraud.place, fraud.member("reviewer-1").caller.role)
    arn = states.start_execution(stateMachineArn=fraud.output(STACK, "BatchStateMachine"), name="too-early", input="{}")
    ended = finish(arn["executionArn"])
    assert (ended["status"], ended["error"]) == ("FAILED", "NothingScored")
    (notice,) = hear()
    assert f"no version of {MODEL} is live: promote one" in notice


def test_a_paused_model_begins_no_run(batches: Batches) -> None:
    batches.put("a.csv", table(FIRST))
    path = f"/labcycle/1.0/models/{MODEL}"
    paused = batches.reviewer.call("POST", f"{path}/pause", body={"reason": "wrong data"})
    assert paused.status == 200, str(paused)
    assert "makes no predictions: resume it" in batches.run("while-paused", "FAILED")["cause"]
    assert batches.reviewer.call("POST", f"{path}/resume", body={}).status == 200
    assert json.loads(batches.run("after-pause")["output"])["verdict"] == "complete"


def test_who_may_not_start_or_read(batches: Batches, growth: Team) -> None:
    batches.put("a.csv", table(FIRST))
    stranger = growth.member("lead-1")
    states = growth.cloud.client("stepfunctions", growth.place, stranger.caller.role)
    with pytest.raises(Exception, match="AccessDenied"):
        states.start_execution(stateMachineArn=batches.machine, name="stranger", input="{}")
    with pytest.raises(Exception, match="AccessDenied"):
        stranger.s3.get_object(Bucket=batches.team.bucket, Key=f"batch/{MODEL}/in/a.csv")
    batches.cloud.guard.refused.clear()
