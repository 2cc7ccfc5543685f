"""Drift to reaction: evaluator, metric, alarm, topic, rule and state machine as they were deployed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labcycle.config import names
from tests.cloud.harness.machines import executions, finish, history
from tests.cloud.team import COLUMNS, Rows, Team, csv

MODEL = "card-fraud"
STACK = f"model-{MODEL}"
# Large amounts are fraud, whatever the hour; later it is the small ones, and all amounts are higher.
BEFORE: Rows = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in range(0, 24, 3)]
AFTER: Rows = [(amount + 20, hour, 1 - target) for amount, hour, target in BEFORE]


class Story:
    """The production team with a live model, and its notices since the story began."""

    def __init__(self, team: Team) -> None:
        self.team, self.cloud = team, team.cloud
        self.scientist, self.reviewer, self.operator = (
            team.member(name) for name in ("scientist-1", "reviewer-1", "operator-1")
        )
        self.machine = team.output(STACK, "ReactionStateMachine")
        self.known = set(executions(self.machine))
        self.due = datetime.now(UTC)
        self.hear: Callable[[], list[str]] = self.cloud.listen(team.notices)

    def go_live(self, rows: Rows, **parameters: str) -> int:
        version = self.scientist.log_model(MODEL, rows, parameters=parameters)
        self.reviewer.promote(MODEL, version)
        self.team.restart_servers()
        return version

    def new_data(self, rows: Rows) -> None:
        self.scientist.put(f"s3://{self.team.bucket}/data/{MODEL}", "labelled.csv", csv(rows).encode())

    def send(self, rows: Rows) -> None:
        data = [row[:2] for row in rows]
        for start in range(0, len(data), 200):
            body = {"dataframe_split": {"columns": COLUMNS, "data": data[start : start + 200]}}
            answer = self.team.model(MODEL).call("POST", "/invocations", self.reviewer.caller, body=body)
            assert answer.status == 200, str(answer)

    def evaluate(self) -> None:
        """The schedule is due, a minute after it last was, and then the alarm looks."""
        place, at = self.team.place, self.due
        self.due += timedelta(minutes=1)
        evaluator = self.team.output(STACK, "EvaluatorFunction")
        schedules = place.client("scheduler").list_schedules(NamePrefix=f"labcycle-{self.team.name}-")["Schedules"]
        (name,) = [s["Name"] for s in schedules if s["Target"]["Arn"].endswith(f":{evaluator}")]
        self.cloud.fire_schedule(place, name, at)
        self.cloud.evaluate_alarms(place, at)

    def dead_letters(self) -> list[dict[str, Any]]:
        """What the team's calls left that came to nothing."""
        sqs = self.team.place.client("sqs")
        url = sqs.get_queue_url(QueueName=names.dead_letter_queue(self.team.name))["QueueUrl"]
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in received]

    def start(self, name: str) -> str:
        """An operator starts the reaction by hand."""
        states = self.cloud.client("stepfunctions", self.team.place, self.operator.caller.role)
        given = json.dumps({"cause": "drift", "ignore_cool_down": True})
        arn: str = states.start_execution(stateMachineArn=self.machine, name=name, input=given)["executionArn"]
        return arn

    def started(self) -> list[str]:
        """Executions since the story began."""
        return [arn for arn in executions(self.machine) if arn not in self.known]

    def finish(self, execution: str, status: str = "SUCCEEDED") -> dict[str, Any]:
        ended = finish(execution)
        assert ended["status"] == status, "\n".join(history(execution))
        answer: dict[str, Any] = json.loads(ended.get("output") or "{}")
        return answer

    def raised(self) -> set[str]:
        """The errors that functions raised, which are expected then."""
        errors = {failure.error for failure in self.cloud.functions.failures}
        self.cloud.functions.failures.clear()
        return errors

    def live(self) -> int:
        version: int = self.reviewer.deployment(MODEL)["live"]["version"]
        return version

    def generation(self) -> int:
        number: int = self.reviewer.deployment(MODEL)["generation"]
        return number

    def actions(self) -> list[str]:
        told = self.reviewer.history(MODEL)
        assert (told["verified"], told["problems"]) == (True, [])
        return [event["action"] for event in told["events"]]

    def retraining_run(self) -> dict[str, Any]:
        """The one run that reactions made."""
        experiment = self.scientist.experiment(f"{MODEL} training")
        runs = self.scientist.post("runs/search", experiment_ids=[experiment])["runs"]
        (run,) = [r for r in runs if r["info"]["run_name"].startswith("retraining")]
        found: dict[str, Any] = run
        return found


@pytest.fixture
def story(fraud: Team) -> Story:
    return Story(fraud)


def test_drift_is_noticed_told_and_cured(story: Story) -> None:
    first = story.go_live(BEFORE)
    story.new_data(AFTER)
    story.send([*BEFORE, *BEFORE])
    story.evaluate()
    assert (story.hear(), story.started()) == ([], []), "traffic as in training is no drift"
    story.send([*AFTER, *AFTER, *AFTER])
    story.evaluate()
    (execution,) = story.started()
    assert story.finish(execution) == {"outcome": "promoted"}
    second = story.live()
    assert second == first + 1
    (notice,) = story.hear()  # of the reaction: its alarm notifies nobody besides
    assert f"version {second} is better: it is live now" in notice
    assert story.actions() == [
        *(
            "created",
            "registered",
            "promoted",
            "drift_detected",
            "retraining_started",
            "registered",
            "retrained",
            "promoted",
        ),
    ]
    run = story.retraining_run()
    assert run["info"]["status"] == "FINISHED"
    measured = {m["key"]: m["value"] for m in run["data"]["metrics"]}
    assert measured["challenger_accuracy"] > 0.95
    assert measured["champion_accuracy"] < 0.6
    story.team.restart_servers()
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[17.5, 12], [22.5, 12]]}}
    answer = story.team.model(MODEL).call("POST", "/invocations", story.reviewer.caller, body=body)
    assert answer.json() == {"predictions": [1, 0]}
    story.evaluate()
    assert len(story.started()) == 1, "one episode of drift, one reaction"


def test_an_evaluation_that_fails_each_time_is_kept(story: Story) -> None:
    story.go_live(BEFORE)
    story.send(BEFORE)
    attempts_of_the_sdk = 10
    story.cloud.faults.throttle("dynamodb.GetItem", times=3 * attempts_of_the_sdk, function="Evaluator")
    story.evaluate()
    (letter,) = story.dead_letters()
    assert letter["requestContext"]["approximateInvokeCount"] == 3
    assert set(letter["requestPayload"]) == {"scheduled_time"}
    assert letter["responsePayload"]["errorType"] in story.raised()


def test_a_reaction_that_runs_out_of_time_is_told(story: Story) -> None:
    event = {"executionArn": "x", "name": "too-long", "stateMachineArn": story.machine}
    bus = story.team.place.client("events")
    for status in ("SUCCEEDED", "TIMED_OUT"):
        detail = json.dumps({**event, "status": status})
        kind = "Step Functions Execution Status Change"
        bus.put_events(Entries=[{"Source": "aws.states", "DetailType": kind, "Detail": detail}])
    (notice,) = story.hear()
    assert f"the reaction of {MODEL} ran out of time" in notice
    assert "in the execution too-long" in notice


def test_a_cool_down_keeps_a_second_alarm_from_retraining(story: Story) -> None:
    story.go_live(BEFORE)
    story.new_data(AFTER)
    story.finish(story.start("first"))
    alarm = story.team.output(STACK, "DriftAlarm")
    cloudwatch = story.team.place.client("cloudwatch")
    cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="again")
    (_, second) = story.started()
    skipped = story.finish(second)
    assert skipped["outcome"] == "skipped"
    (notice,) = [text for text in story.hear() if "Nothing was done about it" in text]
    assert "Drift was detected" in notice and "cools down" in notice
    assert len(story.cloud.training.ran) == 1


def test_a_training_that_fails_changes_nothing_and_is_told(story: Story) -> None:
    version = story.go_live(BEFORE, outcome="broken")
    story.new_data(AFTER)
    story.finish(story.start("broken"), "FAILED")
    assert story.live() == version
    assert story.retraining_run()["info"]["status"] == "FAILED"
    (notice,) = story.hear()
    assert "the recipe was told to fail" in notice
    assert story.actions() == ["created", "registered", "promoted", "retraining_started", "retraining_failed"]
    # The lock is released: a person who mended the cause can start again at once.
    assert story.finish(story.start("again"), "FAILED") == {}
    assert story.actions()[-2:] == ["retraining_started", "retraining_failed"]
    assert len(story.cloud.training.ran) == 2


def test_without_data_nothing_is_trained_and_the_owner_knows_what_to_do(story: Story) -> None:
    story.go_live(BEFORE)
    story.finish(story.start("no-data"), "FAILED")
    (notice,) = story.hear()
    assert f"put CSV files (features, and the target as the last column) below s3://{story.team.bucket}/data/" in notice
    assert story.cloud.training.ran == []
    assert story.raised() == {"CannotReact"}


def test_the_version_before_comes_back_where_it_measures_best(story: Story) -> None:
    first = story.go_live(BEFORE)
    second = story.go_live(AFTER, outcome="bad")
    story.new_data(BEFORE)
    assert story.finish(story.start("worse")) == {"outcome": "rolled_back"}
    assert story.live() == first
    (notice,) = story.hear()
    assert f"Version {first} is better than that, and than version {second} that was live" in notice
    assert story.actions()[-4:] == ["registered", "retrained", "challenger_rejected", "rolled_back"]
    assert story.retraining_run()["info"]["status"] == "FINISHED"
    assert second == first + 1


def test_a_champion_stays_where_nothing_measures_better_and_the_owner_knows_what_to_do(story: Story) -> None:
    first = story.go_live(AFTER)
    second = story.go_live(BEFORE, outcome="bad")
    story.new_data(BEFORE)
    assert story.finish(story.start("nothing-better")) == {"outcome": "kept"}
    assert (story.live(), story.generation()) == (second, 2)
    (notice,) = story.hear()
    assert f"Version {second + 1} is not better than version {second}, and neither is version {first}" in notice
    assert "The drift persists" in notice
    assert f"labcycle models promote {MODEL} {second + 1}" in notice
    assert story.actions()[-3:] == ["registered", "retrained", "challenger_rejected"]


def test_a_version_before_whose_files_are_gone_is_left_out(story: Story) -> None:
    first = story.go_live(BEFORE)
    graph = story.reviewer.deployment(MODEL)["live"]["model_file"]
    second = story.go_live(AFTER, outcome="bad")
    story.new_data(BEFORE)
    bucket = story.team.place.client("s3")
    bucket.delete_object(Bucket=story.team.bucket, Key=graph["key"], VersionId=graph["version_id"])
    assert story.finish(story.start("files-gone")) == {"outcome": "kept"}
    assert story.live() == second
    (notice,) = story.hear()
    assert f"version {first} (live before that): left out" in notice


def test_a_second_start_while_one_runs_does_nothing(story: Story) -> None:
    story.go_live(BEFORE)
    story.new_data(AFTER)
    training, go_on = threading.Event(), threading.Event()

    def hold(job: str) -> None:
        training.set()
        assert go_on.wait(60)

    story.cloud.training.before_run = hold
    first = story.start("one")
    try:
        assert training.wait(60)
        skipped = story.finish(story.start("two"))
    finally:
        go_on.set()
    assert skipped["outcome"] == "skipped"
    assert "one is under way" in next(text for text in story.hear() if "Nothing was done about it" in text)
    assert story.finish(first) == {"outcome": "promoted"}
    assert len(story.cloud.training.ran) == 1
    assert story.actions().count("retraining_started") == 1


@pytest.mark.parametrize("operation", ["GetItem", "TransactWriteItems"])
def test_a_busy_ledger_is_waited_for(story: Story, operation: str) -> None:
    story.go_live(BEFORE)
    story.new_data(AFTER)
    attempts_of_the_sdk = 10
    fault = story.cloud.faults.throttle(f"dynamodb.{operation}", times=attempts_of_the_sdk + 2)
    assert story.finish(story.start(f"busy-{operation}")) == {"outcome": "promoted"}
    assert fault.struck == attempts_of_the_sdk + 2
    assert story.raised() == {"Throttled"}
    assert story.actions() == [
        "created",
        "registered",
        "promoted",
        "retraining_started",
        "registered",
        "retrained",
        "promoted",
    ]


# How many transactions a reaction writes, by how the training goes; each of them loses its answer once.
TRANSACTIONS = {"good": 8, "bad": 9, "broken": 4}


@pytest.mark.parametrize(("outcome", "position"), [(o, i) for o, count in TRANSACTIONS.items() for i in range(count)])
def test_a_lost_answer_does_not_double_anything(story: Story, outcome: str, position: int) -> None:
    """Whichever transaction of the reaction loses its answer, the story is the same."""
    first = story.go_live(BEFORE)
    second = story.go_live(AFTER if outcome == "bad" else BEFORE, outcome=outcome)
    story.new_data(BEFORE if outcome == "bad" else AFTER)
    told = len(story.actions())
    calls = story.cloud.faults.lose_answer("dynamodb.TransactWriteItems", skip=99)  # only counts
    fault = story.cloud.faults.lose_answer("dynamodb.TransactWriteItems", skip=position)
    execution = story.start(f"lost-{outcome}-{position}")
    finish(execution)
    assert (99 - calls.skip, fault.struck) == (TRANSACTIONS[outcome] + 1, 1), "the lost one is sent twice"
    if outcome == "good":
        assert story.finish(execution) == {"outcome": "promoted"}
        assert (story.live(), story.generation()) == (second + 1, 3)
        expected = ["retraining_started", "registered", "retrained", "promoted"]
    elif outcome == "bad":
        assert story.finish(execution) == {"outcome": "rolled_back"}
        assert (story.live(), story.generation()) == (first, 3)
        expected = ["retraining_started", "registered", "retrained", "challenger_rejected", "rolled_back"]
    else:
        story.finish(execution, "FAILED")
        assert (story.live(), story.generation()) == (second, 2)
        expected = ["retraining_started", "retraining_failed"]
    assert story.actions()[told:] == expected
    assert len(story.hear()) == 1
