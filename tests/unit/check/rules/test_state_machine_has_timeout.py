from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "state-machine-has-timeout"
STATES = {"Wait": {"Type": "Wait"}}


def machine(definition: dict[str, Any], **more: Any) -> dict[str, Any]:
    return resource("AWS::StepFunctions::StateMachine", Definition=definition, **more)


def test_compliant() -> None:
    assert offenders(RULE, stack(Machine=machine({"States": STATES, "TimeoutSeconds": 60}))) == []


def test_non_compliant() -> None:
    assert offenders(RULE, stack(Machine=machine({"States": STATES}))) == ["Machine"]


@pytest.mark.parametrize(
    "one",
    [
        resource("AWS::SNS::Topic"),
        machine({"States": STATES}, StateMachineType="EXPRESS"),
        resource("AWS::StepFunctions::StateMachine", DefinitionS3Location={"Bucket": "x"}),
    ],
)
def test_not_applicable(one: dict[str, Any]) -> None:
    assert offenders(RULE, stack(One=one)) == []
