"""One way to call a function, or start a state machine, on a schedule; and no call that failed for good is lost."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping

from aws_cdk import Duration, Stack, Token
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from labcycle._dead_letters import keep_failures
from labcycle._grants import allow
from labcycle.config import names
from labcycle.config.schedules import is_schedule, is_time_zone

_RETRIED_SECONDS = (60, 86_400)  # what EventBridge Scheduler takes


# Filled in by the scheduler: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html.
# Repeats of one call carry one time, so that they can be told from the next.
SCHEDULED_TIME = {"scheduled_time": "<aws.scheduler.scheduled-time>"}


def call_every(
    scope: Construct,
    every: Duration,
    function: lambda_.Function,
    *,
    team: str,
    description: str,
    called: str,
    event: Mapping[str, str],
    dead_letters: sqs.IQueue,
    time_zone: str | None = None,
) -> scheduler.CfnSchedule:
    """See `call_on`. An undeliverable call is tried until the next one is due."""
    shortest, longest = _RETRIED_SECONDS
    minutes = int(every.to_minutes())
    return call_on(
        scope,
        f"rate({minutes} minute{'' if minutes == 1 else 's'})",
        function,
        team=team,
        description=description,
        called=called,
        event=event,
        dead_letters=dead_letters,
        time_zone=time_zone,
        tried_seconds=max(shortest, min(longest, minutes * 60)),
    )


def call_on(
    scope: Construct,
    schedule: str,
    function: lambda_.Function,
    *,
    team: str,
    description: str,
    called: str,
    event: Mapping[str, str],
    dead_letters: sqs.IQueue,
    time_zone: str | None,
    tried_seconds: int,
) -> scheduler.CfnSchedule:
    """The schedule, and the role by which it calls; `called` names the function for people. An undeliverable call is tried
    for `tried_seconds`, and then ends in the queue, as does one that fails."""
    keep_failures(scope, function, dead_letters)
    role = _role(scope, team, f"Lets the schedule call {called}", dead_letters)
    allow(role, ["lambda:InvokeFunction"], [function.function_arn])
    return _schedule(
        scope,
        schedule,
        time_zone,
        description=description,
        target=function.function_arn,
        role=role,
        event=event,
        dead_letters=dead_letters,
        tried_seconds=tried_seconds,
    )


def start_at(
    scope: Construct,
    expression: str,
    machine: sfn.IStateMachine,
    *,
    team: str,
    description: str,
    started: str,
    dead_letters: sqs.IQueue,
    time_zone: str,
    event: Mapping[str, object] = types.MappingProxyType({}),
) -> scheduler.CfnSchedule:
    """The schedule of a state machine, and the role by which it starts it with `event` as its input; `started` names the machine for
    people. A start that cannot be delivered is tried for an hour."""
    role = _role(scope, team, f"Lets the schedule start {started}", dead_letters)
    allow(role, ["states:StartExecution"], [machine.state_machine_arn])
    return _schedule(
        scope,
        expression,
        time_zone,
        description=description,
        target=machine.state_machine_arn,
        role=role,
        event=event,
        dead_letters=dead_letters,
        tried_seconds=3600,
    )


def schedule_problems(schedule: str | None, time_zone: str) -> list[str]:
    """What is wrong with them, a sentence each; what is known only in AWS is taken as it is."""
    problems = []
    if schedule is not None and not Token.is_unresolved(schedule) and not is_schedule(schedule):
        problems.append(f"schedule: got {schedule!r}; allowed such as cron(0 5 * * ? *) or rate(12 hours).")
    if not Token.is_unresolved(time_zone) and not is_time_zone(time_zone):
        problems.append(f"time_zone: got {time_zone!r}; allowed names of the IANA database such as Europe/Berlin.")
    return problems


def _role(scope: Construct, team: str, description: str, dead_letters: sqs.IQueue) -> iam.Role:
    role = iam.Role(
        scope,
        "ScheduleRole",
        path=names.role_path(team),
        description=description,
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
        ),
    )
    allow(role, ["sqs:SendMessage"], [dead_letters.queue_arn])
    return role


def _schedule(
    scope: Construct,
    expression: str,
    time_zone: str | None,
    *,
    description: str,
    target: str,
    role: iam.IRole,
    event: Mapping[str, object],
    dead_letters: sqs.IQueue,
    tried_seconds: int,
) -> scheduler.CfnSchedule:
    return scheduler.CfnSchedule(
        scope,
        "Schedule",
        description=description,
        schedule_expression=expression,
        schedule_expression_timezone=time_zone,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        state="ENABLED",
        target=scheduler.CfnSchedule.TargetProperty(
            arn=target,
            role_arn=role.role_arn,
            input=json.dumps(dict(event)),
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=tried_seconds, maximum_retry_attempts=5
            ),
        ),
    )
