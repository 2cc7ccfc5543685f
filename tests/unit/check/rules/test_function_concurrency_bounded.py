from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack, stack_of

RULE = "function-concurrency-bounded"
Resources = dict[str, dict[str, Any]]


def get(logical_id: str) -> dict[str, Any]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


FUNCTION = resource("AWS::Lambda::Function")
RESERVED = resource("AWS::Lambda::Function", ReservedConcurrentExecutions=5)
TARGETS = [{"Id": "x", "Arn": get("Function")}]
THROTTLE = {"ThrottlingRateLimit": 10, "ThrottlingBurstLimit": 10}


def api(**stage: Any) -> Resources:
    return {
        "Api": resource("AWS::ApiGatewayV2::Api"),
        "Integration": resource("AWS::ApiGatewayV2::Integration", ApiId={"Ref": "Api"}, IntegrationUri=get("Function")),
        "Route": resource(
            "AWS::ApiGatewayV2::Route", RouteKey="$default", Target={"Fn::Sub": "integrations/${Integration}"}
        ),
        "Stage": resource("AWS::ApiGatewayV2::Stage", ApiId={"Ref": "Api"}, StageName="$default", **stage),
        "Function": FUNCTION,
    }


def mapped(**more: Any) -> Resources:
    mapping = resource(
        "AWS::Lambda::EventSourceMapping", FunctionName={"Ref": "Function"}, EventSourceArn=get("Queue"), **more
    )
    return {"Queue": resource("AWS::SQS::Queue"), "Function": FUNCTION, "Mapping": mapping}


def machine(mode: str, **limit: Any) -> Resources:
    work = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "${Function}"}}
    each = {"Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": mode}, "States": {"Work": work}}, **limit}
    return {
        "Machine": resource(
            "AWS::StepFunctions::StateMachine",
            DefinitionString=json.dumps({"States": {"Each": each}}),
            DefinitionSubstitutions={"Function": get("Function")},
        ),
        "Function": FUNCTION,
    }


@pytest.mark.parametrize(
    "resources",
    [
        {"Rule": resource("AWS::Events::Rule", EventPattern={}, Targets=TARGETS), "Function": RESERVED},
        {
            "Rule": resource("AWS::Events::Rule", ScheduleExpression="rate(1 day)", Targets=TARGETS),
            "Function": FUNCTION,
        },
        {"Schedule": resource("AWS::Scheduler::Schedule", Target={"Arn": get("Function")}), "Function": FUNCTION},
        {"Alarm": resource("AWS::CloudWatch::Alarm", AlarmActions=[get("Function")]), "Function": FUNCTION},
        api(DefaultRouteSettings=THROTTLE),
        mapped(ScalingConfig={"MaximumConcurrency": 5}),
        machine("INLINE"),
        machine("DISTRIBUTED", MaxConcurrency=10),
    ],
)
def test_compliant(resources: Resources) -> None:
    assert offenders(RULE, stack_of(resources)) == []


@pytest.mark.parametrize(
    "resources",
    [
        {"Rule": resource("AWS::Events::Rule", EventPattern={}, Targets=TARGETS), "Function": FUNCTION},
        {
            "Bucket": resource(
                "AWS::S3::Bucket",
                NotificationConfiguration={"LambdaConfigurations": [{"Event": "x", "Function": get("Function")}]},
            ),
            "Function": FUNCTION,
        },
        {"Url": resource("AWS::Lambda::Url", TargetFunctionArn={"Ref": "Function"}), "Function": FUNCTION},
        api(),
        api(DefaultRouteSettings={"ThrottlingBurstLimit": 10}),
        mapped(),
        machine("DISTRIBUTED"),
    ],
)
def test_non_compliant(resources: Resources) -> None:
    assert offenders(RULE, stack_of(resources)) == ["Function"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Function=FUNCTION, Table=resource("AWS::DynamoDB::Table"))) == []
