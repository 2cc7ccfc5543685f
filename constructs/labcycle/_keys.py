"""Keys of constructs that are used alone: like the team's key, with whole names of actions and no wildcard."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

# What IAM may hand out on a key. CDK's own default is `kms:*`.
ADMINISTRATION = (
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RetireGrant",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
)
USE = (
    "kms:CreateGrant",
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
# What Auto Scaling needs for machines with encrypted disks:
# https://docs.aws.amazon.com/autoscaling/ec2/userguide/key-policy-requirements-EBS-encryption.html
MACHINES_USE = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)
MACHINES_GRANT = ("kms:CreateGrant",)


def own_key(scope: Construct, construct_id: str, *, removal: RemovalPolicy = RemovalPolicy.RETAIN) -> kms.Key:
    """A key with yearly rotation, which IAM hands out; it waits 30 days for a deletion."""
    statement = iam.PolicyStatement(
        principals=[iam.AccountRootPrincipal()], actions=[*ADMINISTRATION, *USE], resources=["*"]
    )
    return kms.Key(
        scope,
        construct_id,
        enable_key_rotation=True,
        removal_policy=removal,
        pending_window=Duration.days(30),
        policy=iam.PolicyDocument(statements=[statement]),
    )
