from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "state-retries-with-jitter"
RETRY = {"ErrorEquals": ["States.ALL"], "JitterStrategy": "FULL", "MaxDelaySeconds": 30}


def machine(resource_of_task: str = "arn:aws:states:::lambda:invoke", **more: Any) -> dict[str, Any]:
    task = {"Type": "Task", "Resource": resource_of_task, **more}
    return resource("AWS::StepFunctions::StateMachine", Definition={"States": {"Work": task}})


@pytest.mark.parametrize("retry", [[RETRY], [{"ErrorEquals": ["Never"], "MaxAttempts": 0}, RETRY]])
def test_compliant(retry: Any) -> None:
    assert offenders(RULE, stack(Machine=machine(Retry=retry))) == []


@pytest.mark.parametrize(
    "retry",
    [
        None,
        [],
        [{**RETRY, "JitterStrategy": "NONE"}],
        [{"ErrorEquals": ["x"], "MaxDelaySeconds": 30}],
        [{"ErrorEquals": ["x"], "JitterStrategy": "FULL"}],
        [RETRY, {**RETRY, "JitterStrategy": "NONE"}],
    ],
)
def test_non_compliant(retry: Any) -> None:
    assert offenders(RULE, stack(Machine=machine(Retry=retry))) == ["Machine"]


def test_a_start_without_a_name_may_not_be_repeated_and_one_with_a_name_must() -> None:
    start = "arn:aws:states:::states:startExecution.sync:2"
    assert offenders(RULE, stack(Machine=machine(start, Arguments={"Input": {}}))) == []
    assert offenders(RULE, stack(Machine=machine(start, Arguments={"Name": "x"}))) == ["Machine"]
    assert offenders(RULE, stack(Machine=machine(start, Parameters={"Name.$": "$.x"}))) == ["Machine"]


@pytest.mark.parametrize(
    "one",
    [
        resource("AWS::SNS::Topic"),
        resource("AWS::StepFunctions::StateMachine", Definition={"States": {"Wait": {"Type": "Wait"}}}),
        machine("arn:aws:states:::sqs:sendMessage.waitForTaskToken"),
        machine("arn:aws:states:::sagemaker:createTrainingJob.sync"),
        machine("arn:aws-cn:states:::batch:submitJob.sync"),
        machine("arn:aws:states:::ecs:runTask.sync"),
    ],
)
def test_not_applicable(one: dict[str, Any]) -> None:
    assert offenders(RULE, stack(One=one)) == []
