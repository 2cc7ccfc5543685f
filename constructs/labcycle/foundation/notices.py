"""The topic on which a team hears of its alarms."""

from __future__ import annotations

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle.config import names


def notice_topic(scope: Construct, construct_id: str, *, team: str, owner: str, key: kms.IKey) -> sns.Topic:
    """An encrypted topic to which alarms, rules and the team's roles really can publish; the owner hears by e-mail.

    The subscription is pending until the owner confirms it by the link in the first e-mail.

    A topic policy replaces SNS's default one, which let the whole account publish, so it names everybody. The key's
    policy has the matching rows (`key_policy`): a publisher needs both.
    """
    stack = Stack.of(scope)
    topic = sns.Topic(
        scope, construct_id, topic_name=names.notice_topic(team), display_name=f"labcycle {team}", master_key=key
    )
    policy = sns.TopicPolicy(scope, f"{construct_id}Policy", topics=[topic])
    arn = f"arn:{stack.partition}"

    def allow(sid: str, principal: iam.IPrincipal, conditions: dict[str, dict[str, object]] | None = None) -> None:
        policy.document.add_statements(
            iam.PolicyStatement(
                sid=sid,
                principals=[principal],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions=conditions,
            )
        )

    allow(
        "Alarms",
        iam.ServicePrincipal("cloudwatch.amazonaws.com"),
        {
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"{arn}:cloudwatch:{stack.region}:{stack.account}:alarm:*"},
        },
    )
    # EventBridge sends no source with what it publishes to SNS; a condition on it would drop every event.
    allow("Rules", iam.ServicePrincipal("events.amazonaws.com"))
    allow(
        "TeamRoles",
        iam.AccountRootPrincipal(),
        {"ArnLike": {"aws:PrincipalArn": f"{arn}:iam::{stack.account}:role{names.role_path(team)}*"}},
    )
    policy.document.add_statements(
        iam.PolicyStatement(
            sid="OnlyOverTls",
            effect=iam.Effect.DENY,
            principals=[iam.AnyPrincipal()],
            actions=["sns:Publish"],
            resources=[topic.topic_arn],
            conditions={"Bool": {"aws:SecureTransport": "false"}},
        )
    )
    mail = topic.add_subscription(subscriptions.EmailSubscription(owner))
    acknowledge(
        mail,
        Serverless_SNSRedrivePolicy="An e-mail that bounces is not redriven, and the alarms' states stay to be seen.",
    )
    return topic
