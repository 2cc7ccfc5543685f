"""Promotions in steps as they are deployed: the API starts the state machine, which tries a version and decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cloud.harness.machines import executions, finish, history
from tests.cloud.team import COLUMNS, Rows, Team
from tests.failing_model import failing_above

MODEL = "card-fraud"
STACK = f"model-{MODEL}"
LARGE: Rows = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in (0, 6, 12, 18)]
ATTEMPTS_OF_DYNAMODB = 10


class Story:
    """The promotions of the production team's model."""

    def __init__(self, team: Team) -> None:
        self.team, self.cloud = team, team.cloud
        self.scientist, self.reviewer = team.member("scientist-1"), team.member("reviewer-1")
        self.machine = team.output(STACK, "PromotionStateMachine")
        self.known = set(executions(self.machine))
        self.hear: Callable[[], list[str]] = team.cloud.listen(team.notices)
        self.answers: dict[str, list[int]] = {}
        self.live = self.scientist.log_model(MODEL, LARGE)
        self.post("promote", version=self.live, now=True)
        team.cloud.functions.restart("Promotion")

    def post(self, step: str, **body: Any) -> Any:
        answer = self.reviewer.call("POST", f"/labcycle/1.0/models/{MODEL}/{step}", body=body)
        assert answer.status == 200, str(answer)
        return answer.json()

    @property
    def promotion(self) -> Any:
        return self.reviewer.call("GET", f"/labcycle/1.0/models/{MODEL}/promotion").json()["promotion"]

    def promote(self, version: int, status: str = "SUCCEEDED") -> dict[str, Any]:
        """The promotion as it ended."""
        self.post("promote", version=version)
        (arn,) = set(executions(self.machine)) - self.known
        self.known.add(arn)
        ended = finish(arn)
        assert ended["status"] == status, "\n".join(history(arn))
        promotion: dict[str, Any] = self.promotion
        assert promotion["state"] == "ended"
        return promotion

    def broken_version(self) -> int:
        """A version whose graph was made by hand, and fails on three rows in ten."""
        number = self.scientist.log_model(MODEL, LARGE)
        version = self.scientist.get("model-versions/get", ("name", MODEL), ("version", str(number)))["model_version"]
        self.scientist.put(version["source"], "model.onnx", bytes(failing_above(4.0, len(COLUMNS)).SerializeToString()))
        made = self.scientist.post(
            "model-versions/create", name=MODEL, source=version["source"], run_id=version["run_id"]
        )
        return int(made["model_version"]["version"])

    def serve(self, requests: int = 60) -> None:
        """So many consumers ask, each with a row of its own; all sandboxes are new."""
        self.team.restart_servers()
        for number in range(requests):
            body = {"dataframe_split": {"columns": COLUMNS, "data": [[number % 10 - 2.5, 12]]}}
            answer = self.team.model(MODEL).call(
                "POST",
                "/invocations",
                self.reviewer.caller,
                body=body,
                headers={"x-labcycle-key": f"customer {number}"},
            )
            self.answers.setdefault(answer.headers["x-labcycle-model-version"], []).append(answer.status)

    def an_hour_of_service(self, seconds: float) -> None:
        self.serve()
        self.team.an_hour_of_promotion(MODEL)

    def actions(self) -> list[str]:
        found = self.reviewer.history(MODEL)
        assert (found["verified"], found["problems"]) == (True, [])
        return [event["action"] for event in found["events"] if event["action"] not in ("created", "registered")]

    def versions(self) -> tuple[int | None, int | None]:
        """Live and tried."""
        found = self.reviewer.deployment(MODEL)
        canary = found["canary"]
        return found["live"]["version"], canary["deployed"]["version"] if canary else None

    def raised(self) -> set[str]:
        errors = {failure.error for failure in self.cloud.functions.failures}
        self.cloud.functions.failures.clear()
        return errors


@pytest.fixture
def story(fraud: Team) -> Any:
    made = Story(fraud)
    yield made
    fraud.cloud.meanwhile = lambda seconds: None


def test_a_bad_version_takes_itself_out_of_traffic_and_nobody_notices(story: Story) -> None:
    version = story.broken_version()
    waits: list[float] = []

    def meanwhile(seconds: float) -> None:
        waits.append(seconds)
        story.serve(150)

    story.cloud.meanwhile = meanwhile
    promotion = story.promote(version)
    assert promotion["outcome"] == "taken_back"
    assert waits == [60], "gone at the first look"
    assert story.versions() == (story.live, None)
    assert set(story.answers) == {str(story.live), str(version)}
    assert {status for statuses in story.answers.values() for status in statuses} == {200}, "the live version answered"
    (notice,) = story.hear()
    assert f"Version {version} of {MODEL} was tried and took itself out of traffic." in notice
    assert "answers failed" in notice
    assert story.actions() == [
        "promoted", "promotion_requested", "preflight_passed", "canary_started", "canary_withdrawn"
    ]  # fmt: skip
    measured = next(e for e in story.reviewer.history(MODEL)["events"] if e["action"] == "preflight_passed")["detail"][
        "measured"
    ]
    assert 0 < measured["peak_mb"] < measured["memory_mb"]
    assert measured["rows_from"] == "reference.json"


def test_a_good_version_reaches_all_requests_in_steps(story: Story) -> None:
    version = story.scientist.log_model(MODEL, LARGE)
    seen: list[Any] = []

    def meanwhile(seconds: float) -> None:
        story.serve()
        story.team.an_hour_of_promotion(MODEL)
        seen.append(story.promotion["percent"])

    story.cloud.meanwhile = meanwhile
    promotion = story.promote(version)
    assert (promotion["outcome"], promotion["percent"], seen) == ("live", 100, [20, 60])
    assert story.versions() == (version, None)
    (notice,) = story.hear()
    assert f"Version {version} of {MODEL} answers all requests now." in notice
    assert story.actions()[-3:] == ["canary_started", "canary_changed", "promoted"]
    assert {status for statuses in story.answers.values() for status in statuses} == {200}
    who = story.reviewer.history(MODEL)["events"][-1]["who"]
    assert (who["member"], who["session"]) == (None, promotion["execution"])
    assert story.post("promote", version=version)["changed"] is False


def test_throttled_calls_are_made_again(story: Story) -> None:
    version = story.scientist.log_model(MODEL, LARGE)
    story.cloud.meanwhile = story.an_hour_of_service
    fault = story.cloud.faults.throttle("dynamodb.GetItem", times=ATTEMPTS_OF_DYNAMODB, skip=6, function="Promotion")
    assert story.promote(version)["outcome"] == "live"
    assert fault.struck == ATTEMPTS_OF_DYNAMODB
    assert story.raised() == {"Throttled"}


def test_a_promotion_that_breaks_leaves_nothing_behind(story: Story) -> None:
    version = story.scientist.log_model(MODEL, LARGE)
    tries = 7

    def meanwhile(seconds: float) -> None:
        story.cloud.faults.throttle("dynamodb.Query", times=tries * ATTEMPTS_OF_DYNAMODB, function="Promotion")

    story.cloud.meanwhile = meanwhile
    promotion = story.promote(version, "FAILED")
    assert promotion["outcome"] == "failed"
    assert story.versions() == (story.live, None)
    (notice,) = story.hear()
    assert f"The promotion of version {version} of {MODEL} broke off." in notice
    assert story.raised() == {"Throttled"}
    story.cloud.meanwhile = story.an_hour_of_service
    assert story.promote(version)["outcome"] == "live"


def test_a_promotion_that_is_stopped_is_tidied_up_and_told(story: Story) -> None:
    version = story.scientist.log_model(MODEL, LARGE)
    bus = story.team.place.client("events")

    def stopped(seconds: float) -> None:
        story.cloud.meanwhile = lambda seconds: None
        detail = {"name": story.promotion["execution"], "stateMachineArn": story.machine, "status": "ABORTED"}
        kind = "Step Functions Execution Status Change"
        for _ in range(2):  # EventBridge delivers at least once
            bus.put_events(Entries=[{"Source": "aws.states", "DetailType": kind, "Detail": json.dumps(detail)}])
        assert story.versions() == (story.live, None)

    story.cloud.meanwhile = stopped
    story.post("promote", version=version)
    (arn,) = set(executions(story.machine)) - story.known
    finish(arn)
    assert story.promotion["outcome"] == "failed"
    assert "ABORTED" in story.promotion["said"][0] or "ended before it was done" in story.promotion["said"][0]
    assert any("was stopped (ABORTED)" in notice for notice in story.hear())


def test_who_may_not_promote_starts_nothing(story: Story) -> None:
    version = story.scientist.log_model(MODEL, LARGE)
    answer = story.scientist.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body={"version": str(version)})
    assert answer.status == 403
    assert set(executions(story.machine)) == story.known
