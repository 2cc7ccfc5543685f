"""Every task retries with full jitter and a longest delay, but for approvals and starts that are not idempotent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.state_machines import State, definition, states
from labcycle.check.template import Template

WHY = (
    "Without a retry a passing throttle fails the whole execution; without jitter all executions retry at once and "
    "throttle each other again."
)
MEND = "Add a Retry for the service's passing errors with JitterStrategy FULL and MaxDelaySeconds."
# What would be started twice: https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html
_STARTS = (
    "batch:submitJob",
    "bedrock:createModelCustomizationJob",
    "codebuild:startBuild",
    "ecs:runTask",
    "eks:runJob",
    "elasticmapreduce:createCluster",
    "emr-serverless:startJobRun",
    "glue:startJobRun",
    "sagemaker:create",
)
_EXECUTION = "states:startExecution"


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::StepFunctions::StateMachine"):
        for state in states(definition(estate, template, logical_id)):
            if state.type == "Task" and not _may_not_repeat(state):
                yield from _retries(logical_id, state)


def _may_not_repeat(state: State) -> bool:
    if ".waitForTaskToken" in state.resource or state.resource.startswith(_STARTS):
        return True
    if state.resource.startswith(_EXECUTION):  # by name it is idempotent
        arguments = state.body.get("Arguments", state.body.get("Parameters"))
        return not (isinstance(arguments, Mapping) and {"Name", "Name.$"} & set(arguments))
    return False


def _retries(logical_id: str, state: State) -> Iterator[Violation]:
    place = f"Definition.States.{state.path}.Retry"
    retries = state.body.get("Retry")
    if not isinstance(retries, list) or not retries:
        yield Violation(logical_id, f"the task {state.path} has no Retry", place)
        return
    for n, retry in enumerate(retries):
        if not isinstance(retry, Mapping) or retry.get("MaxAttempts") == 0:  # which says: not this error
            continue
        if retry.get("JitterStrategy") != "FULL":
            got = retry.get("JitterStrategy", "none")
            yield Violation(
                logical_id, f"the task {state.path} retries with jitter {got}; allowed FULL", f"{place}.{n}"
            )
        if "MaxDelaySeconds" not in retry:
            yield Violation(logical_id, f"the task {state.path} retries without MaxDelaySeconds", f"{place}.{n}")
