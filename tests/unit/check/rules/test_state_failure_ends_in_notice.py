from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "state-failure-ends-in-notice"
TELL = {"Type": "Task", "Resource": "arn:aws:states:::sns:publish", "End": True}


def work(start: str | None, errors: str = "States.ALL", **more: Any) -> dict[str, Any]:
    catch = {"Catch": [{"ErrorEquals": [errors], "Next": start}]} if start else {}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", **catch, **more}


def machine(**states: Any) -> dict[str, Any]:
    return resource("AWS::StepFunctions::StateMachine", Definition={"States": states})


WATCH = resource(
    "AWS::CloudWatch::Alarm",
    Namespace="AWS/States",
    MetricName="ExecutionsFailed",
    Dimensions=[{"Name": "StateMachineArn", "Value": {"Ref": "Machine"}}],
    AlarmActions=["arn:aws:sns:eu-west-1:123456789012:notices"],
)


@pytest.mark.parametrize(
    "states",
    [
        {"Work": work("Tell"), "Tell": TELL},
        {"Work": work("Tell"), "Tell": {**TELL, "Resource": "arn:aws:states:::events:putEvents"}},
        {"Work": work("Note"), "Note": {"Type": "Pass", "Next": "Tell"}, "Tell": TELL},
        {
            "Work": work("Which"),
            "Which": {"Type": "Choice", "Choices": [{"Next": "Tell"}], "Default": "Note"},
            "Note": {"Type": "Pass", "Next": "Tell"},
            "Tell": TELL,
        },
        {
            "Each": {
                "Type": "Map",
                "ItemProcessor": {"States": {"Work": work(None)}},
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Tell"}],
            },
            "Tell": TELL,
        },
    ],
)
def test_compliant(states: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Machine=machine(**states))) == []


def test_compliant_by_an_alarm() -> None:
    assert offenders(RULE, stack(Machine=machine(Work=work(None)), Alarm=WATCH)) == []


@pytest.mark.parametrize(
    "states",
    [
        {"Work": work(None)},
        {"Work": work("Tell", "Lambda.Unknown"), "Tell": TELL},
        {"Work": work("Stop"), "Stop": {"Type": "Fail"}, "Tell": TELL},
        {"Work": work("Nowhere"), "Tell": TELL},
        {
            "Work": work("Which"),
            "Which": {"Type": "Choice", "Choices": [{"Next": "Tell"}], "Default": "Stop"},
            "Stop": {"Type": "Fail"},
            "Tell": TELL,
        },
        {"Both": {"Type": "Parallel", "Branches": [{"States": {"Work": work("Tell")}}]}, "Tell": TELL},
    ],
)
def test_non_compliant(states: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Machine=machine(**states))) == ["Machine"]


def test_not_applicable() -> None:
    states = {"Wait": {"Type": "Wait", "Next": "Tell"}, "Tell": TELL}
    assert offenders(RULE, stack(Machine=machine(**states), Topic=resource("AWS::SNS::Topic"))) == []
