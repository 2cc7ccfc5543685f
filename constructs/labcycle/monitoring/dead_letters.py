"""Where a call ends up that EventBridge could not deliver."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct


def dead_letter_queue(scope: Construct, construct_id: str) -> sqs.Queue:
    """Kept for two weeks, encrypted by SQS itself: EventBridge could not use a customer key without a row in its policy,
    and what lies here is a call's envelope, no data."""
    return sqs.Queue(
        scope,
        construct_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )
