"""Where a call ends up that could not be delivered, or failed for good, and the alarm on it."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from labcycle._grants import allow
from labcycle._notices import tell


def dead_letter_queue(scope: Construct, construct_id: str, *, name: str | None = None) -> sqs.Queue:
    """Kept for two weeks, encrypted by SQS itself: EventBridge could not use a customer key without a row in its policy,
    and what lies here is a call's envelope, no data."""
    return sqs.Queue(
        scope,
        construct_id,
        queue_name=name,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )


def dead_letters_alarm(scope: Construct, construct_id: str, *, queue: sqs.Queue, whose: str) -> cloudwatch.Alarm:
    """Goes to ALARM with the first letter, and back when the queue is empty. 0.10 USD a month."""
    return cloudwatch.Alarm(
        scope,
        construct_id,
        alarm_description=(
            f"A call of {whose} was lost: it could not be delivered, or failed each time. Work was left undone, such as a "
            "drift check or the start of a retraining. Read the letters with aws sqs receive-message: RULE_ARN, "
            "SCHEDULE_ARN or requestContext tells what was called, ERROR_MESSAGE or responsePayload why it failed. Mend "
            "that, call again what is still wanted, and delete the letters: the alarm ends with an empty queue."
        ),
        metric=queue.metric_approximate_number_of_messages_visible(period=Duration.minutes(5), statistic="Maximum"),
        threshold=1,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=1,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # a queue that nobody uses publishes nothing
    )


def own_dead_letters(
    scope: Construct, construct_id: str, *, whose: str, topic: sns.ITopic, key: kms.IKey
) -> sqs.IQueue:
    """A queue with an alarm that tells a topic, for a construct that was given none."""
    queue = dead_letter_queue(scope, construct_id)
    tell(dead_letters_alarm(scope, f"{construct_id}Alarm", queue=queue, whose=whose), topic, key)
    return queue


def keep_failures(scope: Construct, function: lambda_.Function, dead_letters: sqs.IQueue) -> None:
    """What calls `function` and does not wait only hands its call over: what fails after that, each of three times, goes to the
    queue by the role of the function."""
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
