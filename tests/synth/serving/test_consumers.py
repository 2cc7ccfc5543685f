"""ModelService with consumers: a REST API with keys, plans, a policy that names who may come, and refusals that help."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk.assertions import Match, Template

from labcycle.check.iam import Policies, Request, Role, decide, identity_policy, resource_policy
from labcycle.config import Consumer, ConsumerQuota, names
from tests.synth.serving.test_model_service import service, statements

SHOP = "arn:aws:iam::210987654321:role/apps/shop"
API = "arn:aws:execute-api:eu-west-1:123456789012:abcdefghij"  # what stands short in its policy
CONSUMERS = (
    Consumer(
        name="shop",
        principal=SHOP,
        requests_per_second=20,
        burst=40,
        quota=ConsumerQuota(requests=100_000, per="month"),
    ),
    Consumer(
        name="bank",
        principal="arn:aws:iam::123456789012:role/bank",
        quota=ConsumerQuota(requests=7, per="week"),
        hard=True,
    ),
    Consumer(name="partner", principal="310987654321"),
)


@pytest.fixture(scope="module")
def template() -> Template:
    stack = Stack(App(), "Stack")
    key = kms.Key(stack, "Key")
    topic = sns.Topic(stack, "Topic", master_key=key)
    made = service(stack, encryption_key=key, notice_topic=topic, consumers=CONSUMERS, requests_per_second=50, burst=60)
    member = iam.Role(stack, "Member", assumed_by=iam.AccountRootPrincipal())
    made.grant_invoke(member)
    made.grant_key(member)
    made.grant_consumers(iam.Role(stack, "Operator", assumed_by=iam.AccountRootPrincipal()))
    return Template.from_stack(stack)


def properties(template: Template, kind: str) -> list[dict[str, Any]]:
    return [one["Properties"] for one in template.find_resources(f"AWS::{kind}").values()]


def test_it_is_a_regional_rest_api_in_the_place_of_an_http_api(template: Template) -> None:
    template.resource_count_is("AWS::ApiGatewayV2::Api", 0)
    (api,) = properties(template, "ApiGateway::RestApi")
    assert api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert (api["Name"], api["SecurityPolicy"]) == (names.rest_api("fraud", "card-fraud"), "TLS_1_2")


def test_every_method_wants_a_signature_and_predictions_a_key(template: Template) -> None:
    paths = {
        logical_id: one["Properties"]["PathPart"]
        for logical_id, one in template.find_resources("AWS::ApiGateway::Resource").items()
    }
    methods = properties(template, "ApiGateway::Method")
    assert {one["AuthorizationType"] for one in methods} == {"AWS_IAM"}
    assert {
        (one["HttpMethod"], paths[one["ResourceId"]["Ref"]], one.get("ApiKeyRequired", False)) for one in methods
    } == {
        ("POST", "invocations", True),
        ("GET", "ping", False),
        ("GET", "version", False),
        ("GET", "openapi.json", False),
    }


def test_its_policy_lets_in_who_is_named_and_nobody_else(template: Template) -> None:
    (api,) = properties(template, "ApiGateway::RestApi")
    account = json.dumps({"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, ":iam::310987654321:root"]]})
    text = json.dumps(api["Policy"]).replace(account, '"arn:aws:iam::310987654321:root"')
    document = json.loads(text.replace('"execute-api:/', f'"{API}/'))
    policy = resource_policy(document, "the API's policy")
    own = identity_policy(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}},
        "own",
    )

    def may(role: str, method: str, *identity: Any) -> bool:
        request = Request(Role(role), "execute-api:Invoke", f"{API}/v1/{method}", "123456789012", {})
        return decide(request, Policies(identity, resource=policy)).is_allowed

    assert may(SHOP, "POST/invocations", own), "another account's role, whose own account allows it too"
    assert not may(SHOP, "POST/invocations"), "not without its own account"
    assert may("arn:aws:iam::310987654321:role/any", "GET/version", own)
    assert may("arn:aws:iam::123456789012:role/bank", "POST/invocations"), "a role of the API's account needs no more"
    assert not may("arn:aws:iam::210987654321:role/other", "POST/invocations", own)
    assert not may("arn:aws:iam::123456789012:role/other", "POST/invocations")
    assert not may("arn:aws:iam::123456789012:role/bank", "DELETE/invocations")


def test_each_consumer_has_a_key_and_a_plan_and_the_team_too(template: Template) -> None:
    plans = {one["UsagePlanName"]: one for one in properties(template, "ApiGateway::UsagePlan")}
    prefix = "labcycle-fraud-card-fraud"
    assert set(plans) == {f"{prefix}-{name}" for name in ("team", "shop", "bank", "partner")}
    shop, bank, partner, team = (plans[f"{prefix}-{name}"] for name in ("shop", "bank", "partner", "team"))
    assert shop["Quota"] == {"Limit": 100_000, "Period": "MONTH"}
    assert shop["Throttle"] == {"RateLimit": 20, "BurstLimit": 40}
    assert partner["Throttle"] == bank["Throttle"] == {"RateLimit": 50, "BurstLimit": 60}
    assert all("Quota" not in one for one in (bank, partner, team)), "a hard one is counted by the function"
    assert "Throttle" not in team
    keys = template.find_resources("AWS::ApiGateway::ApiKey")
    assert all("Value" not in one["Properties"] for one in keys.values()), "a key is in no template"
    tied = {
        (one["KeyId"]["Ref"], one["UsagePlanId"]["Ref"]) for one in properties(template, "ApiGateway::UsagePlanKey")
    }
    assert len(tied) == len(keys) == 4


def test_refusals_speak_mlflows_language_and_say_when_to_come_again(template: Template) -> None:
    said = {one["ResponseType"]: one for one in properties(template, "ApiGateway::GatewayResponse")}
    bodies = {
        kind: json.loads(one["ResponseTemplates"]["application/json"].replace("$context.error.messageString", '"x"'))
        for kind, one in said.items()
    }
    assert all(set(body) == {"error_code", "message"} for body in bodies.values())
    for kind, seconds in (("THROTTLED", "'1'"), ("QUOTA_EXCEEDED", "'3600'")):
        assert bodies[kind]["error_code"] == "REQUEST_LIMIT_EXCEEDED"
        assert said[kind]["ResponseParameters"] == {"gatewayresponse.header.Retry-After": seconds}
        assert "StatusCode" not in said[kind], "API Gateway's own is 429"
    assert "labcycle models key" in bodies["INVALID_API_KEY"]["message"]
    assert "execute-api:Invoke" in bodies["ACCESS_DENIED"]["message"]


def test_the_stage_throttles_and_logs_who_but_neither_payload_nor_key(template: Template) -> None:
    (stage,) = properties(template, "ApiGateway::Stage")
    (everything,) = [one for one in stage["MethodSettings"] if (one["HttpMethod"], one["ResourcePath"]) == ("*", "/*")]
    assert (everything["ThrottlingRateLimit"], everything["ThrottlingBurstLimit"]) == (50, 60)
    assert not everything.get("DataTraceEnabled")
    logged = set(json.loads(stage["AccessLogSetting"]["Format"]).values())
    assert {"$context.identity.userArn", "$context.identity.apiKeyId", "$context.status"} <= logged
    assert "$context.identity.apiKey" not in logged


def test_the_alarm_looks_at_the_metrics_of_a_rest_api(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "Namespace": "AWS/ApiGateway",
            "MetricName": "5XXError",
            "Dimensions": [{"Name": "ApiName", "Value": "labcycle-fraud-card-fraud"}, {"Name": "Stage", "Value": "v1"}],
        },
    )


def test_the_function_counts_hard_quotas_and_only_their_counters(template: Template) -> None:
    (function,) = properties(template, "Lambda::Function")
    assert json.loads(function["Environment"]["Variables"]["CONSUMERS"]) == [
        ["bank", "arn:aws:iam::123456789012:role/bank", 7, "week"]
    ]
    (counting,) = statements(template, "dynamodb:UpdateItem")
    assert counting["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["QUOTA#card-fraud"]}}


def test_without_a_hard_quota_the_function_neither_counts_nor_may() -> None:
    stack = Stack(App(), "Stack")
    service(stack, consumers=[CONSUMERS[0], CONSUMERS[2]])
    template = Template.from_stack(stack)
    assert statements(template, "dynamodb:UpdateItem") == []
    (function,) = properties(template, "Lambda::Function")
    assert "CONSUMERS" not in function["Environment"]["Variables"]


def test_a_member_reads_the_teams_key_and_an_operator_all_and_their_usage(template: Template) -> None:
    member, operator = sorted((statement["Resource"] for statement in statements(template, "apigateway:GET")), key=len)
    keys = {logical_id for logical_id in template.find_resources("AWS::ApiGateway::ApiKey")}
    assert (len(member), len(operator)) == (1, 7)
    assert sum(key in json.dumps(operator) for key in keys) == 4
    assert json.dumps(operator).count("/usage") == 3 + 3  # `usageplans` is no usage
    assert len(statements(template, "ssm:GetParameter")) == 2, "both find the ids"
    (team_key,) = [key for key in keys if key in json.dumps(member)]
    assert "team" in team_key
    (invoke,) = statements(template, "execute-api:Invoke")
    assert json.dumps(invoke["Resource"]).endswith('"/v1/*"]]}')


def test_the_parameter_tells_ids_and_limits(template: Template) -> None:
    template.has_resource_properties(
        "AWS::SSM::Parameter",
        {"Name": names.consumers_parameter("fraud", "card-fraud"), "Value": Match.any_value()},
    )


def test_the_face_is_the_same() -> None:
    stack = Stack(App(), "Stack")
    made = service(stack, consumers=CONSUMERS)
    assert made.url.endswith("/v1")
    metrics = (made.metric_errors(), made.metric_refused(), made.metric_requests(), made.metric_latency())
    assert [one.metric_name for one in metrics] == ["5XXError", "4XXError", "Count", "Latency"]
    assert made.metric_quota_refusals().dimensions == {"Team": "fraud", "Model": "card-fraud"}
