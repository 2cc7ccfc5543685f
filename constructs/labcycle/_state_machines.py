"""One way to make a state machine: own role, encrypted log without data, tracing; and a notice where it cannot tell of its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from labcycle._functions import log_group
from labcycle._grants import allow, allow_key
from labcycle._notices import let_rule_tell
from labcycle.config import names

# Of an execution, in the event by which Step Functions tells how it ended:
# https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
EXECUTION = events.EventField.from_path("$.detail.name")
STATUS = events.EventField.from_path("$.detail.status")


def state_machine(
    scope: Construct,
    definition: str,
    *,
    team: str,
    what: str,
    log: str,
    function: lambda_.IFunction,
    topic: sns.ITopic,
    key: kms.IKey,
    substitutions: Mapping[str, str] | None = None,
    name: str | None = None,
) -> sfn.StateMachine:
    """The machine `definition`, whose steps call `function` and whose notices go to `topic`: `${Function}` and `${Topic}` in it.

    `what` says of it what it does, for people; `log` ends the name of its log group. Its role may do nothing else.
    """
    stack = Stack.of(scope)
    role = iam.Role(
        scope,
        "StatesRole",
        path=names.role_path(team),
        description=f"{what}, team {team}",
        assumed_by=iam.ServicePrincipal(
            "states.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": stack.account}}
        ),
    )
    allow(role, ["lambda:InvokeFunction"], [function.function_arn])
    allow(role, ["sns:Publish"], [topic.topic_arn])
    allow_key(role, key, "publish", region=stack.region)
    group = log_group(scope, "Log", key=key, name=f"/aws/vendedlogs/labcycle/{team}/{log}")
    # CDK adds log delivery and tracing to the role; neither can be scoped to a resource.
    return sfn.StateMachine(
        scope,
        "StateMachine",
        state_machine_name=name,
        comment=what,
        definition_body=sfn.DefinitionBody.from_string(definition),
        definition_substitutions={
            "Function": function.function_arn,
            "Topic": topic.topic_arn,
            **(substitutions or {}),
        },
        role=role,
        tracing_enabled=True,
        # No execution data: it holds parameters and figures of runs, and what is in rows that are scored.
        logs=sfn.LogOptions(destination=group, level=sfn.LogLevel.ALL, include_execution_data=False),
    )


def ends_so(machine: sfn.IStateMachine, statuses: Sequence[str]) -> events.EventPattern:
    """The events of executions that end with one of these statuses."""
    return events.EventPattern(
        source=["aws.states"],
        detail_type=["Step Functions Execution Status Change"],
        detail={"status": list(statuses), "stateMachineArn": [machine.state_machine_arn]},
    )


def tell_when_stopped(
    scope: Construct,
    construct_id: str,
    machine: sfn.IStateMachine,
    *,
    statuses: Sequence[str],
    description: str,
    said: str,
    topic: sns.ITopic,
    key: kms.IKey,
    dead_letters: sqs.IQueue,
) -> None:
    """The machine tells all other ends itself; where it is stopped, or its own time is over, no state of it runs any more. `said`
    is the notice, and can hold `EXECUTION` and `STATUS`."""
    let_rule_tell(scope, topic, key)
    message = events.RuleTargetInput.from_text(said)
    events.Rule(
        scope,
        construct_id,
        description=description,
        event_pattern=ends_so(machine, statuses),
        targets=[targets.SnsTopic(topic, message=message, dead_letter_queue=dead_letters)],
    )


def call_when_ended(
    scope: Construct,
    construct_id: str,
    machine: sfn.IStateMachine,
    function: lambda_.IFunction,
    *,
    statuses: Sequence[str],
    description: str,
    event: Mapping[str, str],
    dead_letters: sqs.IQueue,
) -> None:
    """Call `function` with `event`, which can hold `EXECUTION` and `STATUS`."""
    target = targets.LambdaFunction(
        function,
        event=events.RuleTargetInput.from_object(dict(event)),
        dead_letter_queue=dead_letters,
        max_event_age=Duration.hours(2),
        retry_attempts=10,
    )
    events.Rule(
        scope,
        construct_id,
        description=description,
        event_pattern=ends_so(machine, statuses),
        targets=[target],
    )
