"""Promote, score, roll back: the deployed life cycle API and model server of the production team."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.client.advice import advise
from tests.cloud.harness import Answer
from tests.cloud.team import COLUMNS, Member, Rows, Team

MODEL = "card-fraud"
# Large amounts are fraud, whatever the hour; and the other way round.
LARGE: Rows = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in (0, 6, 12, 18)]
SMALL: Rows = [(amount, hour, 1 - target) for amount, hour, target in LARGE]


@pytest.fixture
def scientist(fraud: Team) -> Member:
    return fraud.member("scientist-1")


@pytest.fixture
def reviewer(fraud: Team) -> Member:
    return fraud.member("reviewer-1")


def score(member: Member, *amounts: float, **how: Any) -> Answer:
    body = {"dataframe_split": {"columns": COLUMNS, "data": [[amount, 12] for amount in amounts]}}
    return member.team.model(MODEL).call("POST", "/invocations", member.caller, body=body, **how)


def live(member: Member) -> Any:
    """What a new sandbox of the model server says is live; a warm one looks every few seconds."""
    member.team.restart_servers()
    return member.team.model(MODEL).call("GET", "/version", member.caller).json()


def actions(member: Member) -> list[str]:
    history = member.history(MODEL)
    assert (history["verified"], history["problems"]) == (True, [])
    return [event["action"] for event in history["events"]]


def test_promote_score_promote_roll_back(scientist: Member, reviewer: Member, fraud: Team) -> None:
    assert score(reviewer, 1.0).status == 404
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    promoted = reviewer.promote(MODEL, first)
    assert (promoted["changed"], promoted["deployment"]["live"]["version"], promoted["notes"]) == (True, first, [])
    fraud.restart_servers()
    answer = score(reviewer, 2.0, -2.0)
    assert (answer.json(), answer.headers["x-labcycle-model-version"]) == ({"predictions": [1, 0]}, str(first))
    reviewer.promote(MODEL, second)
    assert (live(reviewer)["version"], score(reviewer, 2.0, -2.0).json()) == (str(second), {"predictions": [0, 1]})
    assert reviewer.roll_back(MODEL)["deployment"]["live"]["version"] == first
    assert (live(reviewer)["version"], score(reviewer, 2.0, -2.0).json()) == (str(first), {"predictions": [1, 0]})
    assert actions(reviewer) == ["created", "registered", "registered", "promoted", "promoted", "rolled_back"]
    champion = reviewer.get("registered-models/alias", ("name", MODEL), ("alias", "champion"))["model_version"]
    assert champion["version"] == str(first)
    members = {event["action"]: event["who"]["member"] for event in reviewer.history(MODEL)["events"]}
    assert members == {
        "created": "scientist-1",
        "registered": "scientist-1",
        "promoted": "reviewer-1",
        "rolled_back": "reviewer-1",
    }


def test_what_the_server_used_is_known(scientist: Member, reviewer: Member, fraud: Team) -> None:
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    fraud.restart_servers()
    for _ in range(4):
        assert score(reviewer, 2.0).status == 200
    fraud.restart_servers()
    assert score(reviewer, 2.0).status == 200
    used = scientist.call("GET", f"/labcycle/1.0/models/{MODEL}/usage").json()
    assert used["runs_on"]["runtime"] == "lambda" and used["runs_on"]["memory_mb"] >= 512
    assert (used["requests"], used["starts"], used["failed"], used["windows_of_other_sizes"]) == (5, 2, 0, 0)
    assert used["peak_memory_mb"] > 50 and used["needed_mb"] > 256
    advice = advise(used)
    assert (advice.verdict, "5 requests of at least 100" in advice.reasons) == ("not_enough", True)


def decide(member: Member, step: str, **body: Any) -> Any:
    answer = member.call("POST", f"/labcycle/1.0/models/{MODEL}/{step}", body=body)
    assert answer.status == 200, str(answer)
    return answer.json()


def test_a_version_is_tried_and_a_model_paused(scientist: Member, reviewer: Member, fraud: Team) -> None:
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    reviewer.promote(MODEL, first)
    decide(reviewer, "promote", version=str(second), percent=50)
    fraud.restart_servers()
    given: dict[str, int] = {str(first): 0, str(second): 0}
    for number in range(40):
        answer = score(reviewer, 2.0, headers={"x-labcycle-key": f"customer {number}"})
        version = answer.headers["x-labcycle-model-version"]
        assert answer.json() == {"predictions": [1 if version == str(first) else 0]}
        given[version] += 1
    assert min(given.values()) > 5
    trial = reviewer.call("GET", f"/labcycle/1.0/models/{MODEL}/trial").json()
    assert [side["version"] for side in trial["sides"]] == [first, second]
    assert all(0 < side["requests"] <= given[str(side["version"])] for side in trial["sides"]), (
        "as many as were written"
    )
    assert (trial["verdict"], sum(side["failed"] for side in trial["sides"])) == ("not_enough", 0)
    decide(reviewer, "pause", answer=-1, reason="wrong data")
    fraud.restart_servers()
    assert score(reviewer, 2.0, -2.0).json() == {"predictions": [-1, -1]}
    decide(reviewer, "resume")
    assert reviewer.roll_back(MODEL)["deployment"]["canary"] is None
    assert live(reviewer)["version"] == str(first)
    assert actions(reviewer)[-5:] == ["promoted", "canary_started", "paused", "resumed", "canary_withdrawn"]
    for step in ("pause", "resume"):
        assert scientist.call("POST", f"/labcycle/1.0/models/{MODEL}/{step}", body={}).status == 403


def test_what_was_registered_is_what_runs(scientist: Member, reviewer: Member, fraud: Team) -> None:
    """Bytes that are put in the place of a registered model afterwards never run."""
    version = scientist.log_model(MODEL, LARGE)
    source = scientist.get("model-versions/get", ("name", MODEL), ("version", str(version)))["model_version"]["source"]
    scientist.put(source, "model.onnx", b"something else")
    reviewer.promote(MODEL, version)
    fraud.restart_servers()
    assert score(reviewer, 2.0).json() == {"predictions": [1]}


def test_who_may_not_promote_or_score(scientist: Member, fraud: Team, growth: Team) -> None:
    version = scientist.log_model(MODEL, LARGE)
    path = f"/labcycle/1.0/models/{MODEL}/promote"
    assert scientist.call("POST", path, body={"version": str(version)}).status == 403
    assert fraud.member("operator-1").call("POST", path, body={"version": str(version)}).status == 403
    assert fraud.model(MODEL).call("POST", "/invocations", growth.member("lead-1").caller, body={}).status == 403
    assert fraud.model(MODEL).call("POST", "/invocations", None, body={}).status == 403


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "JSON"),
        ({"dataframe_split": {"columns": ["amount"], "data": [[1]]}}, "hour"),
        ({"dataframe_split": {"columns": COLUMNS, "data": [["much", 1]]}}, "amount"),
        ({"no_such_format": []}, "dataframe_split"),
    ],
)
def test_wrong_input_is_told_as_a_400(scientist: Member, reviewer: Member, fraud: Team, body: Any, says: str) -> None:
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    fraud.restart_servers()
    answer = fraud.model(MODEL).call(
        "POST", "/invocations", reviewer.caller, body=body, headers={"content-type": "application/json"}
    )
    assert answer.status == 400, str(answer)
    assert set(answer.json()) == {"error_code", "message"}
    assert says in answer.json()["message"]


def test_versions_that_cannot_go_live_are_refused(scientist: Member, reviewer: Member) -> None:
    path = f"/labcycle/1.0/models/{MODEL}/promote"
    assert reviewer.call("POST", path, body={"version": "1"}).status == 404
    scientist.log_model(MODEL, LARGE)
    assert reviewer.call("POST", path, body={"version": "7"}).status == 404
    assert reviewer.call("POST", path, body={"version": "one"}).status == 400
    assert reviewer.call("POST", f"/labcycle/1.0/models/{MODEL}/rollback", body={}).status == 400
    assert actions(reviewer) == ["created", "registered"]


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("step", ["promote", "rollback"])
def test_a_lost_answer_neither_doubles_nor_drops_a_change(
    scientist: Member, reviewer: Member, fraud: Team, step: str, position: int
) -> None:
    first, second = scientist.log_model(MODEL, LARGE), scientist.log_model(MODEL, SMALL)
    reviewer.promote(MODEL, first)
    if step == "rollback":
        reviewer.promote(MODEL, second)
    before = reviewer.deployment(MODEL)["generation"]
    fault = fraud.cloud.faults.lose_answer("dynamodb.TransactWriteItems", times=1 + position)
    changed = reviewer.promote(MODEL, second) if step == "promote" else reviewer.roll_back(MODEL)
    assert fault.struck == 1 + position
    assert changed["deployment"]["generation"] == before + 1
    assert changed["deployment"]["live"]["version"] == (second if step == "promote" else first)
    assert actions(reviewer).count("promoted" if step == "promote" else "rolled_back") == (
        2 if step == "promote" else 1
    )


def test_a_busy_ledger_is_a_429_and_changes_nothing(scientist: Member, reviewer: Member, fraud: Team) -> None:
    version = scientist.log_model(MODEL, LARGE)
    fault = fraud.cloud.faults.throttle("dynamodb.TransactWriteItems", times=99)
    answer = reviewer.call("POST", f"/labcycle/1.0/models/{MODEL}/promote", body={"version": str(version)})
    assert (answer.status, answer.headers.get("retry-after")) == (429, "1"), str(answer)
    assert fault.struck > 1
    fraud.cloud.faults.clear()
    assert actions(reviewer) == ["created", "registered"]
    assert reviewer.deployment(MODEL)["live"] is None


def test_a_model_that_answers_keeps_answering_when_the_ledger_is_busy(
    scientist: Member, reviewer: Member, fraud: Team
) -> None:
    reviewer.promote(MODEL, scientist.log_model(MODEL, LARGE))
    fraud.restart_servers()
    assert score(reviewer, 2.0).status == 200
    for operation in ("GetItem", "PutItem", "Query"):
        fraud.cloud.faults.throttle(f"dynamodb.{operation}", times=99)
    assert score(reviewer, 2.0).json() == {"predictions": [1]}
    fraud.restart_servers()
    answer = score(reviewer, 2.0)
    assert (answer.status, answer.headers.get("retry-after")) == (429, "1"), "a cold one has nothing to answer with"
