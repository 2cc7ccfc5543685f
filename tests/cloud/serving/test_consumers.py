"""A model with consumers, deployed: the real function answers REST events under the deployed rights, and members find keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from labcycle.config import names
from tests.cloud.conftest import PLACE
from tests.cloud.fraud_with import fraud_with
from tests.cloud.harness import cloud, policies
from tests.cloud.serving.conftest import API
from tests.cloud.team import COLUMNS, Team

MODEL = "card-fraud"
CONSUMERS = """      - form: api
        runtime: lambda
        consumers:
          - {name: shop, principal: "arn:aws:iam::210987654321:role/apps/shop", quota: {requests: 3, per: month}, hard: true}
          - {name: bank, principal: "arn:aws:iam::310987654321:role/bank", quota: {requests: 3, per: month}}
"""
SHOP = "arn:aws:sts::210987654321:assumed-role/shop/task-1"
BANK = "arn:aws:sts::310987654321:assumed-role/bank/task-1"
ROWS = [(amount / 10, hour, int(amount > 0)) for amount in range(-30, 31) if amount for hour in (0, 12)]


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    directory = fraud_with(tmp_path_factory, API, CONSUMERS, target="api_gateway_logs: made\n")
    with cloud() as made:
        made.deploy(directory, PLACE, lambda name: name.startswith("labcycle-target-"))
        made.deploy(directory, PLACE, lambda name: name.startswith("labcycle-fraud-"))
        yield Team(made, PLACE, "fraud")


def ask(team: Team, arn: str) -> Any:
    """What the function answers to a request that API Gateway let through."""
    name = team.output(names.model_stack(MODEL), "ServerFunction")
    client = team.place.client("lambda")
    function = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    api_id = team.output(names.model_stack(MODEL), "ModelUrl").split("//")[1].partition(".")[0]
    source = f"arn:aws:execute-api:{team.place.region}:{team.place.account}:{api_id}/v1/POST/invocations"
    policies.require_function_permission(function, "apigateway.amazonaws.com", source)
    event = {
        "resource": "/invocations",
        "path": "/invocations",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "requestContext": {
            "path": "/v1/invocations",
            "stage": "v1",
            "requestId": "r",
            "identity": {"userArn": arn, "accountId": arn.split(":")[4], "apiKeyId": "k"},
        },
        "body": json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [[2.0, 12]]}}),
        "isBase64Encoded": False,
    }
    said = json.loads(client.invoke(FunctionName=name, Payload=json.dumps(event).encode())["Payload"].read())
    return said["statusCode"], said["headers"], json.loads(said["body"])


def test_a_hard_consumer_over_its_quota_gets_429_and_others_do_not(team: Team) -> None:
    version = team.member("scientist-1").log_model(MODEL, ROWS)
    reviewer = team.member("reviewer-1")
    reviewer.promote(MODEL, version)
    team.restart_servers()
    assert [ask(team, SHOP)[0] for _ in range(2)] == [200, 200]
    team.restart_servers()  # the count is the ledger's
    assert [ask(team, SHOP)[0] for _ in range(3)] == [200, 429, 429]
    status, headers, body = ask(team, SHOP)
    assert (status, body["error_code"]) == (429, "REQUEST_LIMIT_EXCEEDED")
    assert 1 <= int(headers["retry-after"]) <= 86_400
    assert "shop has used its 3 requests" in body["message"]
    assert [ask(team, BANK)[0] for _ in range(5)] == [200] * 5, "soft: API Gateway's business"
    assert ask(team, reviewer.caller.user_arn)[0] == 200
    said = reviewer.call("GET", f"/labcycle/1.0/models/{MODEL}/consumers").json()
    assert [(one["consumer"], one["requests"]) for one in said["used"]] == [("shop", 3)]


def test_who_may_read_which_key(team: Team) -> None:
    def client(member: str, service: str) -> Any:
        return team.cloud.client(service, team.place, team.member(member).caller.role)

    name = names.consumers_parameter("fraud", MODEL)
    told = json.loads(client("operator-1", "ssm").get_parameter(Name=name)["Parameter"]["Value"])
    (team_key,), ids = told["team"], {entry[0]: entry[2] for entry in told["consumers"]}
    assert set(ids) == {"shop", "bank"}
    for key_id in (team_key, *ids.values()):
        assert client("operator-1", "apigateway").get_api_key(apiKey=key_id, includeValue=True)["value"]
    for member in ("scientist-1", "reviewer-1"):
        assert json.loads(client(member, "ssm").get_parameter(Name=name)["Parameter"]["Value"]) == told
        assert client(member, "apigateway").get_api_key(apiKey=team_key, includeValue=True)["value"]
        with pytest.raises((ClientError, policies.NotPermitted)):
            client(member, "apigateway").get_api_key(apiKey=ids["shop"], includeValue=True)


def test_each_key_has_its_plan(team: Team) -> None:
    gateway = team.place.client("apigateway")
    plans = {plan["name"]: plan for plan in gateway.get_usage_plans()["items"]}
    bank, shop = plans["labcycle-fraud-card-fraud-bank"], plans["labcycle-fraud-card-fraud-shop"]
    assert bank["quota"]["limit"] == 3
    assert "quota" not in shop
    for plan in plans.values():
        assert len(gateway.get_usage_plan_keys(usagePlanId=plan["id"])["items"]) == 1
