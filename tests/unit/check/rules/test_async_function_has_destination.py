from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack, stack_of

RULE = "async-function-has-destination"
ARN = {"Fn::GetAtt": ["Function", "Arn"]}
QUEUE = "arn:aws:sqs:eu-west-1:123456789012:letters"
FUNCTION = resource("AWS::Lambda::Function")
SCHEDULE = resource("AWS::Scheduler::Schedule", Target={"Arn": ARN, "RoleArn": "x"})


def config(outcome: str, function: Any) -> dict[str, Any]:
    return resource(
        "AWS::Lambda::EventInvokeConfig",
        FunctionName=function,
        Qualifier="$LATEST",
        DestinationConfig={outcome: {"Destination": QUEUE}},
    )


@pytest.mark.parametrize(
    "more",
    [
        {"Function": resource("AWS::Lambda::Function", DeadLetterConfig={"TargetArn": QUEUE})},
        {"Function": resource("AWS::Lambda::Function", DeadLetterConfig={"TargetArn": {"Ref": "Parameter"}})},
        {"Function": FUNCTION, "Config": config("OnFailure", {"Ref": "Function"})},
        {"Function": FUNCTION, "Config": config("OnFailure", ARN)},
    ],
)
def test_compliant(more: dict[str, dict[str, Any]]) -> None:
    assert offenders(RULE, stack_of({"Schedule": SCHEDULE, **more})) == []


@pytest.mark.parametrize(
    "more",
    [
        {"Function": FUNCTION},
        {"Function": FUNCTION, "Config": config("OnSuccess", {"Ref": "Function"})},
        {"Function": FUNCTION, "Config": config("OnFailure", "another")},
        {"Function": resource("AWS::Lambda::Function", DeadLetterConfig={})},
    ],
)
def test_non_compliant(more: dict[str, dict[str, Any]]) -> None:
    assert offenders(RULE, stack_of({"Schedule": SCHEDULE, **more})) == ["Function"]


def test_the_caller_may_stand_in_another_stack() -> None:
    function = stack("one", Function=resource("AWS::Lambda::Function", FunctionName="own"))
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:own:live"
    caller = stack("two", Schedule=resource("AWS::Scheduler::Schedule", Target={"Arn": arn}))
    assert offenders(RULE, function, caller) == ["Function"]


def test_not_applicable() -> None:
    """Nobody calls it here, or somebody who waits."""
    assert offenders(RULE, stack(Function=FUNCTION)) == []
    api = resource("AWS::ApiGatewayV2::Integration", IntegrationUri=ARN)
    assert offenders(RULE, stack(Function=FUNCTION, Integration=api)) == []
