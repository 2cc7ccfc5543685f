"""The life cycle API over HTTP requests."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labcycle.config import names
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.promotions import Promotions
from labcycle_lambdas.ledger.quotas import Period, Quotas
from labcycle_lambdas.ledger.table import Throttled
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.lifecycle import handler
from labcycle_lambdas.lifecycle.environment import Environment
from labcycle_lambdas.lifecycle.machines import Machines
from labcycle_lambdas.lifecycle.parameters import server_memory_mb
from labcycle_lambdas.lifecycle.routes import Lifecycle
from labcycle_lambdas.members import Members
from tests.unit.serving.workshop import (
    BUCKET,
    MODEL,
    REVIEWER,
    REVIEWER_ARN,
    TABLE,
    TEAM,
    World,
    classifier,
    mixed,
    reference_table,
    request,
)

ROOT = f"/labcycle/1.0/models/{MODEL}"


@pytest.fixture
def api(world: World) -> Lifecycle:
    return Lifecycle(world.table, world.preflight, Members(TEAM))


def said(api: Lifecycle, method: str, path: str, body: object = b"", **more: str) -> tuple[int, dict[str, Any]]:
    answer = api.answer(request(method, path, body, **more))
    return answer.status, dict(json.loads(answer.to_event()["body"]))


def test_promote_roll_back_and_history(world: World, api: Lifecycle) -> None:
    run_id = world.run({"reference.json": reference_table()})
    for _ in range(2):
        world.register(classifier(), run_id=run_id)
    assert said(api, "GET", f"{ROOT}/deployment")[1]["deployment"]["live"] is None

    status, first = said(api, "POST", f"{ROOT}/promote", {"version": "1"})
    assert (status, first["changed"], first["notes"]) == (200, True, [])
    assert first["deployment"]["live"]["promoted_by"] == "reviewer-1"
    assert said(api, "POST", f"{ROOT}/promote", {"version": 1})[1]["changed"] is False
    assert said(api, "POST", f"{ROOT}/promote", {"version": "2", "reason": "newer data"})[0] == 200
    status, back = said(api, "POST", f"{ROOT}/rollback", {"from_version": "2"})
    assert (status, back["deployment"]["live"]["version"]) == (200, 1)
    assert said(api, "GET", f"{ROOT}/deployment")[1]["deployment"] == back["deployment"]

    status, history = said(api, "GET", f"{ROOT}/custody")
    assert [e["action"] for e in history["events"]] == [
        *("created", "registered", "registered", "promoted", "promoted", "rolled_back")
    ]
    assert history["events"][4]["detail"]["reason"] == "newer data"
    assert (status, history["verified"], history["problems"]) == (200, True, [])


def test_a_version_is_tried_then_promoted_or_taken_back(world: World, api: Lifecycle) -> None:
    for _ in range(3):
        world.register(classifier())
    said(api, "POST", f"{ROOT}/promote", {"version": 1})
    status, tried = said(api, "POST", f"{ROOT}/promote", {"version": 2, "percent": 10})
    assert (status, tried["deployment"]["live"]["version"]) == (200, 1)
    canary = tried["deployment"]["canary"]
    assert (canary["percent"], canary["deployed"]["version"], canary["deployed"]["promoted_by"]) == (
        10,
        2,
        "reviewer-1",
    )
    status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 3})
    assert status == 400 and "Version 2 of card-fraud is the canary" in refused["message"]
    assert said(api, "POST", f"{ROOT}/promote", {"version": 2})[1]["deployment"]["canary"] is None
    assert said(api, "POST", f"{ROOT}/promote", {"version": 3, "percent": 50})[0] == 200
    back = said(api, "POST", f"{ROOT}/rollback", {"from_version": "3"})[1]
    assert (back["changed"], back["deployment"]["live"]["version"], back["deployment"]["canary"]) == (True, 2, None)


def test_a_version_that_refuses_what_consumers_send_is_promoted_on_purpose(world: World, api: Lifecycle) -> None:
    world.promote(world.register(classifier()))
    world.register(mixed())
    for more in ({}, {"percent": 10}, {"new_inputs": False}):
        status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 2, **more})
        assert status == 400
        assert "refuses what consumers of version 1 send: it does not know 'mean radius'" in refused["message"]
    assert said(api, "POST", f"{ROOT}/promote", {"version": 2, "new_inputs": "yes"})[0] == 400
    assert said(api, "POST", f"{ROOT}/promote", {"version": 2, "new_inputs": True})[0] == 200


@pytest.mark.parametrize("percent", [0, 100, -1, 1.5, "10", True, [], {}])
def test_a_share_is_a_whole_number(world: World, api: Lifecycle, percent: object) -> None:
    world.register(classifier())
    status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 1, "percent": percent})
    assert status == 400 and "'percent' must be a whole number from 1 to 99" in refused["message"]


def test_a_model_is_paused_and_predicts_again(world: World, api: Lifecycle) -> None:
    world.register(classifier())
    status, refused = said(api, "POST", f"{ROOT}/pause", {})
    assert status == 400 and "there is nothing to pause" in refused["message"]
    said(api, "POST", f"{ROOT}/promote", {"version": 1})
    status, paused = said(api, "POST", f"{ROOT}/pause", {"answer": {"approve": False}, "reason": "wrong data"})
    assert (status, paused["deployment"]["pause"]["answer"]) == (200, {"approve": False})
    assert said(api, "GET", f"{ROOT}/deployment")[1]["deployment"]["pause"] == paused["deployment"]["pause"]
    assert said(api, "POST", f"{ROOT}/pause", {"answer": {"approve": False}})[1]["changed"] is False
    assert [said(api, "POST", f"{ROOT}/resume", {})[1]["changed"] for _ in range(2)] == [True, False]
    for answer in (b'{"answer": NaN}', b'{"answer": [1e999]}', b'{"answer": "\\ud800"}'):
        status, refused = said(api, "POST", f"{ROOT}/pause", answer)
        assert status == 400 and "'answer' must be JSON" in refused["message"]
    unknown = ROOT.replace(MODEL, "unknown")
    assert [said(api, "POST", f"{unknown}/{step}", {})[0] for step in ("pause", "resume")] == [404, 404]


ISSUER = "https://login.example.com/tenant"
CALLERS: dict[str, tuple[dict[str, Any], Who]] = {
    "IAM": ({"user_arn": REVIEWER_ARN}, Who("reviewer-1", "labcycle-fraud-reviewer-1", "reviewer-1")),
    "token": ({"user_arn": "", "issuer": ISSUER, "subject": "r1"}, Who("reviewer-1", ISSUER, "r1")),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_a_decision_names_its_caller(world: World, caller: str) -> None:
    sent, who = CALLERS[caller]
    held = {"reviewer-1": frozenset({"read", "log", "promote"})}
    members = Members(TEAM, held, {ISSUER: {"r1": "reviewer-1"}})
    api = Lifecycle(world.table, world.preflight, members)
    for _ in range(2):
        world.register(classifier())
    for action, body in (("promote", {"version": 1}), ("promote", {"version": 2}), ("rollback", {})):
        assert api.answer(replace(request("POST", f"{ROOT}/{action}", body), **sent)).status == 200
    decisions = Custody(world.table).events(f"model/{MODEL}")[-3:]
    assert [event.action for event in decisions] == ["promoted", "promoted", "rolled_back"]
    assert [event.who for event in decisions] == [who.to_doc()] * 3


def test_a_changed_event_is_told(world: World, api: Lifecycle) -> None:
    world.register(classifier())
    event = Custody(world.table).events(f"model/{MODEL}")[1]
    item = world.dynamodb.get_item(
        TableName=TABLE, Key={"pk": {"S": f"CUSTODY#model/{MODEL}"}, "sk": {"S": f"{event.seq:012d}"}}
    )["Item"]
    item["doc"] = {"S": item["doc"]["S"].replace('"registered"', '"reviewed"')}
    world.dynamodb.put_item(TableName=TABLE, Item=item)
    history = said(api, "GET", f"{ROOT}/custody")[1]
    assert history["verified"] is False
    assert "changed after it was written" in history["problems"][0]


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "arn:aws:iam::123456789012:user/reviewer-1",
        "arn:aws:sts::123456789012:assumed-role/labcycle-fraud-reviewer-1/somebody-else",
        "arn:aws:sts::123456789012:assumed-role/labcycle-growth-reviewer-1/reviewer-1",
        "arn:aws:sts::123456789012:assumed-role/admin/reviewer-1",
    ],
)
@pytest.mark.parametrize("action", ["promote", "rollback", "shadow", "shadow/end"])
def test_who_is_no_member_changes_nothing(world: World, api: Lifecycle, arn: str, action: str) -> None:
    world.register(classifier())
    status, body = said(api, "POST", f"{ROOT}/{action}", {"version": "1"}, user_arn=arn)
    assert (status, body["error_code"]) == (403, "PERMISSION_DENIED")
    assert world.deployments.current(MODEL).generation == 0
    assert said(api, "GET", f"{ROOT}/deployment", user_arn=arn)[0] == 200


@pytest.mark.parametrize(
    ("action", "body", "status", "code", "says"),
    [
        ("promote", b"{", 400, "BAD_REQUEST", "not valid JSON"),
        ("promote", b"\xff", 400, "BAD_REQUEST", "not valid JSON"),
        ("promote", b"[" * 100_000, 400, "BAD_REQUEST", "too deeply"),
        ("promote", b"[]", 400, "BAD_REQUEST", "must be a JSON object, got array"),
        ("promote", b"", 400, "INVALID_PARAMETER_VALUE", "required parameter 'version'"),
        ("promote", {"version": None}, 400, "INVALID_PARAMETER_VALUE", "must be an integer, got null"),
        ("promote", {"version": "abc"}, 400, "INVALID_PARAMETER_VALUE", "must be an integer, got 'abc'"),
        ("promote", {"version": True}, 400, "INVALID_PARAMETER_VALUE", "must be an integer"),
        ("promote", {"version": 10**30}, 400, "INVALID_PARAMETER_VALUE", "must be an integer"),
        ("promote", {"version": "1", "reason": 3}, 400, "INVALID_PARAMETER_VALUE", "reason"),
        ("promote", b'{"version": "1", "reason": "\\ud800"}', 400, "INVALID_PARAMETER_VALUE", "reason"),
        ("promote", {"version": "9"}, 404, "RESOURCE_DOES_NOT_EXIST", "version=9"),
        ("rollback", b"", 400, "INVALID_PARAMETER_VALUE", "nothing to roll back"),
        ("rollback", {"from_version": {}}, 400, "INVALID_PARAMETER_VALUE", "from_version"),
    ],
)
def test_mistakes_are_told_in_mlflows_shape(
    world: World, api: Lifecycle, action: str, body: object, status: int, code: str, says: str
) -> None:
    world.register(classifier())
    got, answer = said(api, "POST", f"{ROOT}/{action}", body)
    assert (got, answer["error_code"]) == (status, code)
    assert says in answer["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{ROOT}/promote"),
        ("POST", f"{ROOT}/deployment"),
        ("GET", "/labcycle/1.0/models//deployment"),
        ("GET", f"/labcycle/2.0/models/{MODEL}/deployment"),
        ("GET", "/labcycle"),
    ],
)
def test_unknown_endpoints(api: Lifecycle, method: str, path: str) -> None:
    status, body = said(api, method, path)
    assert (status, body["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


@pytest.mark.parametrize(("method", "action"), [("GET", "deployment"), ("GET", "custody"), ("POST", "rollback")])
def test_an_unknown_model_is_not_found(api: Lifecycle, method: str, action: str) -> None:
    status, body = said(api, method, f"/labcycle/1.0/models/nobody/{action}")
    assert (status, body["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_throttling_asks_for_a_second(world: World, api: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise Throttled("ProvisionedThroughputExceededException")

    monkeypatch.setattr(world.table, "get", busy)
    answer = api.answer(request("GET", f"{ROOT}/deployment"))
    assert answer.status == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.body["error_code"] == "REQUEST_LIMIT_EXCEEDED"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    action=st.sampled_from(["promote", "rollback", "deployment", "custody"]),
    model=st.text(min_size=1, max_size=12) | st.just(MODEL),
    method=st.sampled_from(["GET", "POST"]),
    body=st.binary(max_size=40)
    | json_values.map(lambda v: json.dumps(v).encode())
    | st.fixed_dictionaries({}, optional={k: json_values for k in ("version", "from_version", "reason")}).map(
        lambda v: json.dumps(v).encode()
    ),
)
def test_no_request_makes_the_function_fail(api: Lifecycle, action: str, model: str, method: str, body: bytes) -> None:
    status, answer = said(api, method, f"/labcycle/1.0/models/{model}/{action}", body)
    assert status in (200, 400, 404)
    assert status == 200 or {"error_code", "message"} == set(answer)


def event(method: str, path: str, body: str = "") -> dict[str, Any]:
    identity = {"iam": {"userArn": "arn:aws:sts::1:assumed-role/labcycle-fraud-reviewer-1/reviewer-1"}}
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "body": body,
        "requestContext": {"http": {"method": method}, "authorizer": identity, "requestId": "r-1"},
    }


def test_the_handler_answers_events(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LEDGER_TABLE": TABLE, "ARTIFACT_BUCKET": BUCKET, "TEAM": TEAM}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    handler.lifecycle.cache_clear()
    world.register(classifier())
    parameter = names.model_server_memory_parameter(TEAM, MODEL)
    ssm = boto3.client("ssm")
    ssm.put_parameter(Name=parameter, Value="100", Type="String")
    refused = handler.handle(event("POST", f"{ROOT}/promote", '{"version": "1"}'), None)
    assert refused["statusCode"] == 400
    assert "too large for its model server" in refused["body"]
    ssm.put_parameter(Name=parameter, Value="1024", Type="String", Overwrite=True)
    assert handler.handle(event("POST", f"{ROOT}/promote", '{"version": "1"}'), None)["statusCode"] == 200
    handler.lifecycle.cache_clear()


def test_a_failure_of_ours_is_logged_and_told_by_request(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Lifecycle(world.table, world.preflight, Members(TEAM))
    monkeypatch.setattr(handler, "lifecycle", lambda: broken)
    world.dynamodb.delete_table(TableName=TABLE)
    answer = handler.handle(event("GET", f"{ROOT}/deployment"), None)
    assert answer["statusCode"] == 500
    assert "r-1" in json.loads(answer["body"])["message"]
    failure, request = map(json.loads, capsys.readouterr().out.splitlines())
    assert "ResourceNotFoundException" in failure["trace"]
    assert (request["status"], request["request_id"]) == (500, "r-1")


def test_no_parameter_means_no_server(world: World) -> None:
    ssm = boto3.client("ssm", region_name="eu-west-1")
    assert server_memory_mb(ssm, TEAM, "nobody") is None
    assert server_memory_mb(ssm, TEAM, "no parameter can be named so!") is None


def test_a_refused_parameter_is_no_absent_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ssm = boto3.client("ssm", region_name="eu-west-1")

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "x"}}, "GetParameter")

    monkeypatch.setattr(ssm, "get_parameter", refuse)
    with pytest.raises(ClientError):
        server_memory_mb(ssm, TEAM, MODEL)


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(RuntimeError, match="ARTIFACT_BUCKET, TEAM"):
        Environment.read({"LEDGER_TABLE": "t"})


class TestPromotionInSteps:
    """Where the model's stack has a state machine for it."""

    @pytest.fixture
    def started(self) -> list[tuple[str, str]]:
        return []

    @pytest.fixture
    def api(self, world: World, started: list[tuple[str, str]]) -> Lifecycle:
        class Known(Machines):
            def find(self, model: str) -> str | None:
                return f"arn:of:{model}" if model == MODEL else None

            def start(self, machine: str, execution: str) -> None:
                started.append((machine, execution))

        for _ in range(3):
            world.register(classifier())
        machines = Known(None, None, TEAM)  # type: ignore[arg-type]
        return Lifecycle(world.table, world.preflight, Members(TEAM), machines)

    def test_it_begins_once(self, api: Lifecycle, started: list[tuple[str, str]]) -> None:
        assert said(api, "GET", f"{ROOT}/promotion")[1] == {"promotion": None}
        status, begun = said(api, "POST", f"{ROOT}/promote", {"version": 2, "reason": "better", "new_inputs": True})
        assert (status, begun["changed"], begun["deployment"]["live"]) == (200, False, None)
        promotion = begun["promotion"]
        assert (promotion["version"], promotion["state"], promotion["requested_by"]) == (2, "requested", "reviewer-1")
        assert (promotion["reason"], promotion["new_inputs"]) == ("better", True)
        assert said(api, "POST", f"{ROOT}/promote", {"version": 2})[1]["promotion"] == promotion
        assert started == [(f"arn:of:{MODEL}", promotion["execution"])] * 2, (
            "an execution has one name, and begins once"
        )
        status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 3})
        assert (status, "Version 2 of card-fraud is being promoted" in refused["message"]) == (400, True)
        assert said(api, "GET", f"{ROOT}/promotion")[1]["promotion"] == promotion
        assert said(api, "GET", f"{ROOT}/deployment")[1]["promotion"] == promotion

    def test_what_is_live_needs_none(self, world: World, api: Lifecycle, started: list[tuple[str, str]]) -> None:
        world.promote(1)
        answer = said(api, "POST", f"{ROOT}/promote", {"version": 1})[1]
        assert (answer["changed"], answer["promotion"], started) == (False, None, [])

    def test_now_and_a_share_go_without_it(self, api: Lifecycle, started: list[tuple[str, str]]) -> None:
        assert said(api, "POST", f"{ROOT}/promote", {"version": 1, "now": True})[1]["changed"] is True
        tried = said(api, "POST", f"{ROOT}/promote", {"version": 2, "percent": 10})[1]
        assert (tried["deployment"]["canary"]["percent"], started) == (10, [])
        status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 3})
        assert (status, "Version 2 of card-fraud is the canary" in refused["message"]) == (400, True)
        assert said(api, "POST", f"{ROOT}/promote", {"version": 2})[1]["promotion"]["version"] == 2
        status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 1, "now": True, "percent": 3})
        assert (status, refused["message"]) == (400, "Give either 'percent' or 'now', not both.")
        assert said(api, "POST", f"{ROOT}/promote", {"version": 1, "now": "yes"})[0] == 400

    def test_a_version_that_cannot_be_served_is_refused_at_once(self, world: World, api: Lifecycle) -> None:
        world.register({"MLmodel": b"flavors: {sklearn: {}}"})
        status, refused = said(api, "POST", f"{ROOT}/promote", {"version": 4})
        assert (status, "no ONNX flavor" in refused["message"]) == (400, True)
        assert said(api, "GET", f"{ROOT}/promotion")[1] == {"promotion": None}

    def test_it_is_taken_back_before_its_trial(self, world: World, api: Lifecycle) -> None:
        world.promote(1)
        said(api, "POST", f"{ROOT}/promote", {"version": 2})
        status, refused = said(api, "POST", f"{ROOT}/rollback", {"from_version": 1})
        assert (status, "Version 2 of card-fraud is being promoted" in refused["message"]) == (400, True)
        status, back = said(api, "POST", f"{ROOT}/rollback", {"from_version": 2, "reason": "wrong one"})
        assert (status, back["deployment"]["live"]["version"]) == (200, 1)
        ended = said(api, "GET", f"{ROOT}/promotion")[1]["promotion"]
        assert (ended["outcome"], ended["said"]) == ("given_up", ["reviewer-1 took it back: wrong one"])
        assert said(api, "POST", f"{ROOT}/promote", {"version": 3})[1]["promotion"]["version"] == 3

    def test_it_is_taken_back_while_it_is_tried(self, world: World, api: Lifecycle) -> None:
        world.promote(1)
        begun = said(api, "POST", f"{ROOT}/promote", {"version": 2})[1]["promotion"]
        hold = Promotions(world.table).hold(MODEL, begun["execution"], state="watching", step=1, percent=10)
        world.deployments.try_out(MODEL, world.preflight.prepare(MODEL, 2), 10, REVIEWER, also=hold)
        assert said(api, "POST", f"{ROOT}/rollback", {"from_version": 2})[1]["deployment"]["canary"] is None
        assert said(api, "GET", f"{ROOT}/promotion")[1]["promotion"]["outcome"] == "given_up"
        assert said(api, "POST", f"{ROOT}/rollback", {"from_version": 2})[1]["changed"] is False, "repeated"


def test_what_consumers_used_says_which_period_it_is(world: World, api: Lifecycle) -> None:
    now = datetime.now(UTC)
    for per in ("day", "week", "month"):
        period = Period.at(per, now)
        Quotas(world.table).take(MODEL, f"by-{per}", period.label, period.ends, 3, most=10)
    before = Period.at("month", now.replace(day=1) - timedelta(days=1))
    Quotas(world.table).take(MODEL, "by-month", before.label, before.ends, 5, most=10)
    status, found = said(api, "GET", f"{ROOT}/consumers")
    assert (status, found["team"], found["model"]) == (200, TEAM, MODEL)
    assert {(one["consumer"], one["current_of"], one["requests"]) for one in found["used"]} == {
        ("by-day", "day", 3), ("by-week", "week", 3), ("by-month", "month", 3), ("by-month", None, 5)
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ExecutionAlreadyExists", None), ("ThrottlingException", Throttled), ("AccessDeniedException", ClientError)],
)
def test_starting_a_state_machine(code: str, expected: type[Exception] | None) -> None:
    states = boto3.client("stepfunctions", "eu-west-1", aws_access_key_id="a", aws_secret_access_key="s")
    arn = "arn:aws:states:eu-west-1:123456789012:stateMachine:labcycle_fraud_promotion_card-fraud"
    with Stubber(states) as stub:
        stub.add_client_error(
            "start_execution", code, expected_params={"stateMachineArn": arn, "name": "v2-1", "input": "{}"}
        )
        with pytest.raises(expected) if expected else nullcontext():
            Machines(None, states, TEAM).start(arn, "v2-1")  # type: ignore[arg-type]
