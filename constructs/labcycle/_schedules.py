"""One way to call a function again and again: on a schedule, and no call that failed for good is lost."""

from __future__ import annotations

import json
from collections.abc import Mapping

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._grants import allow
from labcycle.config import names

_RETRIED_SECONDS = (60, 86_400)  # what EventBridge Scheduler takes


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
    """The schedule, and the role by which it calls; `called` names the function for people. An undeliverable call is tried
    until the next one is due.

    The schedule only hands its call over: what fails after that goes to the queue by the role of the function.
    """
    allow(function, ["sqs:SendMessage"], [dead_letters.queue_arn])
    lambda_.CfnEventInvokeConfig(
        scope,
        f"{function.node.id}Failures",
        function_name=function.function_name,
        qualifier="$LATEST",
        maximum_retry_attempts=2,
        destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
            on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=dead_letters.queue_arn)
        ),
    )
    role = iam.Role(
        scope,
        "ScheduleRole",
        path=names.role_path(team),
        description=f"Lets the schedule call {called}",
        assumed_by=iam.ServicePrincipal(
            "scheduler.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": Stack.of(scope).account}}
        ),
    )
    allow(role, ["lambda:InvokeFunction"], [function.function_arn])
    allow(role, ["sqs:SendMessage"], [dead_letters.queue_arn])
    shortest, longest = _RETRIED_SECONDS
    minutes = int(every.to_minutes())
    return scheduler.CfnSchedule(
        scope,
        "Schedule",
        description=description,
        schedule_expression=f"rate({minutes} minute{'' if minutes == 1 else 's'})",
        schedule_expression_timezone=time_zone,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        state="ENABLED",
        target=scheduler.CfnSchedule.TargetProperty(
            arn=function.function_arn,
            role_arn=role.role_arn,
            input=json.dumps(event),
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=max(shortest, min(longest, minutes * 60)), maximum_retry_attempts=5
            ),
        ),
    )
