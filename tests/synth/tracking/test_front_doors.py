"""Doors for tokens: an API for each issuer, in front of the same functions, guarded and watched as the one of IAM."""

from __future__ import annotations

import json

import pytest
from aws_cdk import Stack
from aws_cdk import aws_sns as sns

from labcycle.config import Issuer
from labcycle.tracking import Access, ExperimentTracking
from tests.synth.assembly import Template, alone, of_type

OWN = Issuer(name="own", url="https://login.example.com/t", audience="labcycle")
PARTNER = Issuer(name="partner", url="https://partner.example.com", audience="lab")
ACCESS = Access({"ada": ["read", "log", "invoke models"]}, (OWN, PARTNER), {OWN.url: {"a1": "ada"}, PARTNER.url: {}})


def _build(stack: Stack) -> None:
    topic = sns.Topic(stack, "Topic")
    ExperimentTracking(stack, "Tracking", team="ours", access=ACCESS, notice_topic=topic)


@pytest.fixture(scope="module")
def template() -> Template:
    return alone(_build)


def test_every_route_of_a_door_asks_for_a_token_of_its_issuer(template: Template) -> None:
    authorizers = {
        name: r["Properties"]
        for name, r in template["Resources"].items()
        if r["Type"] == "AWS::ApiGatewayV2::Authorizer"
    }
    said = {json.dumps(one["JwtConfiguration"], sort_keys=True) for one in authorizers.values()}
    assert said == {
        json.dumps({"Audience": [issuer.audience], "Issuer": issuer.url}, sort_keys=True) for issuer in (OWN, PARTNER)
    }
    assert {tuple(one["IdentitySource"]) for one in authorizers.values()} == {("$request.header.Authorization",)}
    apis = {json.dumps(one["ApiId"]): name for name, one in authorizers.items()}
    routes = of_type(template, "AWS::ApiGatewayV2::Route")
    assert len(routes) == 9
    for route in routes:
        authorizer = apis.get(json.dumps(route["ApiId"]))
        if authorizer is None:
            assert route["AuthorizationType"] == "AWS_IAM"
        else:
            assert (route["AuthorizationType"], route["AuthorizerId"]) == ("JWT", {"Ref": authorizer})


def test_all_doors_lead_to_the_same_functions(template: Template) -> None:
    targets: dict[str, set[str]] = {}
    integrations = {
        name: json.dumps(r["Properties"]["IntegrationUri"])
        for name, r in template["Resources"].items()
        if r["Type"] == "AWS::ApiGatewayV2::Integration"
    }
    for route in of_type(template, "AWS::ApiGatewayV2::Route"):
        integration = route["Target"]["Fn::Join"][1][1]["Ref"]
        targets.setdefault(route["RouteKey"], set()).add(integrations[integration])
    assert {key: len(uris) for key, uris in targets.items()} == {
        "ANY /labcycle/{proxy+}": 1,
        "ANY /{proxy+}": 1,
        "ANY /": 1,
    }


def test_every_door_is_throttled_logged_and_watched(template: Template) -> None:
    stages = of_type(template, "AWS::ApiGatewayV2::Stage")
    assert len(stages) == 3
    for stage in stages:
        assert stage["DefaultRouteSettings"] == {"ThrottlingBurstLimit": 200, "ThrottlingRateLimit": 100}
        log = json.loads(stage["AccessLogSettings"]["Format"])
        assert (log["issuer"], log["subject"]) == ("$context.authorizer.claims.iss", "$context.authorizer.claims.sub")
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    watched = {json.dumps(alarm["Dimensions"]) for alarm in alarms if alarm["MetricName"] == "5xx"}
    apis = [name for name, r in template["Resources"].items() if r["Type"] == "AWS::ApiGatewayV2::Api"]
    assert watched == {json.dumps([{"Name": "ApiId", "Value": {"Ref": api}}]) for api in apis}


def test_the_functions_are_told_what_the_api_knows_of_members(template: Template) -> None:
    told = [f["Environment"]["Variables"].get("MEMBERS") for f in of_type(template, "AWS::Lambda::Function")]
    said = json.dumps({"rights": {"log read": ["ada"]}, "subjects": {OWN.url: {"a1": "ada"}}}, separators=(",", ":"))
    assert [one for one in told if one] == [said, said]


def test_the_tracking_function_knows_at_which_rate_the_doors_throttle(template: Template) -> None:
    rates = {
        f["Environment"]["Variables"].get("REQUESTS_PER_SECOND") for f in of_type(template, "AWS::Lambda::Function")
    }
    assert "100" in rates


def test_without_access_there_is_one_door_and_no_table() -> None:
    template = alone(lambda stack: ExperimentTracking(stack, "Tracking", team="ours"))
    assert len(of_type(template, "AWS::ApiGatewayV2::Api")) == 1
    assert all("MEMBERS" not in f["Environment"]["Variables"] for f in of_type(template, "AWS::Lambda::Function"))


def test_as_many_members_as_a_function_takes_and_not_one_more() -> None:
    def access(count: int) -> Access:
        members = [f"scientist-{n:03}" for n in range(count)]
        return Access(
            {member: ["log"] for member in members}, (OWN,), {OWN.url: {f"00u-{name}": name for name in members}}
        )

    assert len(access(60).variable()) < 4_096
    with pytest.raises(
        ValueError, match=r"got 100 members with 100 subjects of tokens, which take [0-9,]+ bytes; allowed 3,584"
    ):
        access(100).variable()
