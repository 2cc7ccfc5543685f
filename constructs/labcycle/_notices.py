"""Alarms and rules that are heard: topic and key let them publish, which `SnsAction` does not see to."""

from __future__ import annotations

from collections.abc import Mapping

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from constructs import Construct

_FIVE_MINUTES = Duration.minutes(5)


def tell(alarm: cloudwatch.Alarm, topic: sns.ITopic, key: kms.IKey) -> None:
    """Let an alarm publish to a topic, and use its key, where they are of the same stack; another's are its business.

    A topic policy replaces SNS's default one. Roles of the account publish by their own policies all the same.
    """
    stack = Stack.of(alarm)
    alarm.add_alarm_action(actions.SnsAction(topic))
    service = "cloudwatch.amazonaws.com"
    _let_publish(alarm, topic, service, {"ArnEquals": {"aws:SourceArn": alarm.alarm_arn}})
    # By pattern: the alarm's own name here would tie key and alarm into a circle.
    alarms = f"arn:{stack.partition}:cloudwatch:{stack.region}:{stack.account}:alarm:*"
    own = {"StringEquals": {"aws:SourceAccount": stack.account}, "ArnLike": {"aws:SourceArn": alarms}}
    _let_use(alarm, key, service, own)


def let_rule_tell(scope: Construct, topic: sns.ITopic, key: kms.IKey) -> None:
    """The same for rules. EventBridge sends neither topic nor key a source, so that a condition would drop every event."""
    _let_publish(scope, topic, "events.amazonaws.com")
    _let_use(scope, key, "events.amazonaws.com")


def errors_alarm(
    scope: Construct,
    construct_id: str,
    *,
    errors: cloudwatch.Metric | cloudwatch.MathExpression,
    what: str,
    topic: sns.ITopic,
    key: kms.IKey,
) -> cloudwatch.Alarm:
    """Tells of an API that answers 5 % of its requests and more with 5xx, in two of three times five minutes.

    `errors` is the API's metric of 5xx, whose average is their share, or an expression of that; `what` says what to do. 0.10 USD a
    month.
    """
    share = errors.with_(statistic="Average") if isinstance(errors, cloudwatch.Metric) else errors
    alarm = cloudwatch.Alarm(
        scope,
        construct_id,
        alarm_description=what,
        metric=share.with_(period=_FIVE_MINUTES),
        threshold=0.05,
        comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        evaluation_periods=3,
        datapoints_to_alarm=2,
        treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,  # no request, no error
    )
    tell(alarm, topic, key)
    return alarm


def _let_publish(
    scope: Construct, topic: sns.ITopic, service: str, conditions: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    if Stack.of(topic) is Stack.of(scope):
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions=conditions,
            )
        )


def _let_use(
    scope: Construct, key: kms.IKey, service: str, conditions: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    if Stack.of(key) is Stack.of(scope):
        key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal(service)],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],  # in a key policy: this key
                conditions=conditions,
            )
        )
