"""Who may use a team's key: one table, from which both the key's policy and docs/key-policy.md are made.

To write the page anew: `python -c "from labcycle.foundation.key_policy import page; print(page(), end='')" > docs/key-policy.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcycle._keys import ADMINISTRATION, MACHINES_GRANT, MACHINES_USE, USE

Conditions = Mapping[str, Mapping[str, str | tuple[str, ...]]]

ACCOUNT, ANYBODY = "the account", "*"


@dataclass(frozen=True)
class KeyUse:
    """One row, one statement of the key policy. `{account}`, `{region}`, `{partition}` and `{team}` are filled in.

    Parameters
    ----------
    sid
        Statement id in the key policy.
    principal
        Service principal, `ACCOUNT` for the root of the account, which hands the decision to IAM, or `ANYBODY` whom the conditions
        let through.
    why
        What would break without it, and why the conditions are what they are.
    """

    sid: str
    service: str
    principal: str
    actions: tuple[str, ...]
    why: str
    conditions: Conditions = field(default_factory=dict)


_ENVELOPE = ("kms:Decrypt", "kms:GenerateDataKey")
_AUTO_SCALING: Conditions = {
    "ArnEquals": {
        "aws:PrincipalArn": "arn:{partition}:iam::{account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    },
    "StringEquals": {"kms:CallerAccount": "{account}"},
}

KEY_USES: tuple[KeyUse, ...] = (
    KeyUse(
        sid="AccountAdministersByIam",
        service="IAM",
        principal=ACCOUNT,
        actions=ADMINISTRATION,
        why="Those whom IAM lets administer keys, CloudFormation among them, can mend the key; without it nobody ever could.",
    ),
    KeyUse(
        sid="AccountUsesByIam",
        service="IAM",
        principal=ACCOUNT,
        actions=USE,
        why="S3, DynamoDB, SNS, EBS and SageMaker use the key in their caller's name: a role needs the key in a policy of its "
        "own, and the permissions boundaries keep the roles of other teams from it.",
    ),
    KeyUse(
        sid="CloudWatchLogs",
        service="CloudWatch Logs",
        principal="logs.{region}.amazonaws.com",
        actions=(
            "kms:Decrypt",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ),
        conditions={
            "ArnLike": {
                "kms:EncryptionContext:aws:logs:arn": (
                    "arn:{partition}:logs:{region}:{account}:log-group:labcycle-{team}-*",
                    "arn:{partition}:logs:{region}:{account}:log-group:/aws/lambda/labcycle-{team}-*",
                    "arn:{partition}:logs:{region}:{account}:log-group:/aws/sagemaker/Endpoints/labcycle-{team}-*",
                    "arn:{partition}:logs:{region}:{account}:log-group:/aws/vendedlogs/labcycle/{team}/*",
                )
            }
        },
        why="Encrypts the team's log groups. The encryption context carries the group, so that no other group can use the key.",
    ),
    KeyUse(
        sid="CloudWatchAlarms",
        service="CloudWatch alarms",
        principal="cloudwatch.amazonaws.com",
        actions=_ENVELOPE,
        conditions={
            "StringEquals": {"aws:SourceAccount": "{account}"},
            "ArnLike": {"aws:SourceArn": "arn:{partition}:cloudwatch:{region}:{account}:alarm:*"},
        },
        why="An alarm publishes to the encrypted notice topic as the service itself; without this row it fires and nobody hears.",
    ),
    KeyUse(
        sid="EventBridge",
        service="EventBridge rules",
        principal="events.amazonaws.com",
        actions=_ENVELOPE,
        why="A rule publishes to the encrypted notice topic as the service itself. No `aws:SourceArn` or `aws:SourceAccount`: in a "
        "key policy they make EventBridge drop every event.",
    ),
    KeyUse(
        sid="AutoScalingUses",
        service="Auto Scaling, for AWS Batch",
        principal=ANYBODY,
        actions=MACHINES_USE,
        conditions=_AUTO_SCALING,
        why="Starts machines for jobs with encrypted disks, by its service-linked role; without it no machine starts. By condition, since "
        "a key policy refuses a principal that is not there yet.",
    ),
    KeyUse(
        sid="AutoScalingGrants",
        service="Auto Scaling, for AWS Batch",
        principal=ANYBODY,
        actions=MACHINES_GRANT,
        conditions={**_AUTO_SCALING, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        why="Lets EC2 attach those disks; grants are for AWS's own resources alone.",
    ),
)


def fill(value: str, **places: str) -> str:
    """`value` with its placeholders filled in."""
    return value.format(**places)


def page() -> str:
    """docs/key-policy.md, whole."""
    lines = [
        "# Who may use a team's key",
        "",
        "Each team has one customer-managed key with yearly rotation, `alias/labcycle-<team>`. Its policy has one statement a",
        "row. This page and the policy are made from the table in `labcycle.foundation.key_policy`; a test compares all three.",
        "",
        "| statement | who | principal | actions | conditions | why |",
        "|---|---|---|---|---|---|",
    ]
    for use in KEY_USES:
        actions = ", ".join(f"`{action}`" for action in use.actions)
        cells = (
            f"`{use.sid}`",
            use.service,
            use.principal if use.principal == ACCOUNT else f"`{use.principal}`",
            actions,
        )
        lines.append(f"| {' | '.join(cells)} | {_conditions(use.conditions)} | {use.why} |")
    lines += [
        "",
        "Not in the table, on purpose: Lambda, Step Functions, SageMaker and EC2 never act on the key in their own name here.",
        "The audit buckets `logs` and `anchors` are encrypted by S3 itself: access logs cannot be delivered to a bucket with a",
        "customer key, and anchors must outlive the key.",
    ]
    return "\n".join(lines) + "\n"


def _conditions(conditions: Conditions) -> str:
    parts = []
    for operator, keys in conditions.items():
        for key, wanted in keys.items():
            values = (wanted,) if isinstance(wanted, str) else wanted
            parts.append(f"{operator} `{key}`: " + ", ".join(f"`{value}`" for value in values))
    return "; ".join(parts) or "none"
