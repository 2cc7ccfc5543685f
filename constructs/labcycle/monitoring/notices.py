"""Alarms that are heard: topic and key let CloudWatch publish, which `SnsAction` does not see to."""

from __future__ import annotations

from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct


def let_alarm_publish(alarm_arn: str, topic: sns.ITopic, key: kms.IKey, scope: Construct) -> None:
    """Let the alarm publish to a topic, and use a key, of the same stack; those of another stack are that stack's business.

    A topic policy replaces SNS's default one. Roles of the account publish by their own policies all the same.
    """
    stack = Stack.of(scope)
    allowed: dict[str, Any] = {
        "principals": [iam.ServicePrincipal("cloudwatch.amazonaws.com")],
        "conditions": {
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:*"},
        },
    }
    if Stack.of(topic) is stack:
        allowed_here = allowed | {"conditions": {"ArnEquals": {"aws:SourceArn": alarm_arn}}}
        topic.add_to_resource_policy(
            iam.PolicyStatement(actions=["sns:Publish"], resources=[topic.topic_arn], **allowed_here)
        )
    if Stack.of(key) is stack:  # by pattern: the alarm's own name here would tie key and alarm into a circle
        key.add_to_resource_policy(
            iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey"], resources=["*"], **allowed)
        )
