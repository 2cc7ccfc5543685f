from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "state-has-timeout"
TASK = {"Type": "Task", "Resource": "x"}


def machine(**states: Any) -> dict[str, Any]:
    return resource("AWS::StepFunctions::StateMachine", DefinitionString=json.dumps({"States": states}))


@pytest.mark.parametrize("key", ["TimeoutSeconds", "TimeoutSecondsPath"])
def test_compliant(key: str) -> None:
    assert offenders(RULE, stack(Machine=machine(Work={**TASK, key: 5}))) == []


@pytest.mark.parametrize(
    "states",
    [
        {"Work": TASK},
        {"Each": {"Type": "Map", "ItemProcessor": {"States": {"Work": TASK}}}},
        {"Each": {"Type": "Map", "Iterator": {"States": {"Work": TASK}}}},
        {"Both": {"Type": "Parallel", "Branches": [{"States": {}}, {"States": {"Work": TASK}}]}},
    ],
)
def test_non_compliant(states: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Machine=machine(**states))) == ["Machine"]


def test_a_definition_as_an_object() -> None:
    machine = resource("AWS::StepFunctions::StateMachine", Definition={"States": {"Work": TASK}})
    assert offenders(RULE, stack(Machine=machine)) == ["Machine"]


@pytest.mark.parametrize("text", ['{"States": {"Wait": {"Type": "Wait"}}}', "{", "[]", '{"States": []}'])
def test_not_applicable(text: str) -> None:
    machine = resource("AWS::StepFunctions::StateMachine", DefinitionString=text)
    assert offenders(RULE, stack(Machine=machine, Topic=resource("AWS::SNS::Topic"))) == []
