"""Grants with exact actions on exact resources. CDK's own `grant_*` use wildcards such as `s3:GetObject*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

_KEY_USE = ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey")


def allow(
    grantee: iam.IGrantable,
    actions: Sequence[str],
    resources: Sequence[str],
    conditions: Mapping[str, Mapping[str, object]] | None = None,
) -> iam.Grant:
    """Let `grantee` do exactly `actions` on exactly `resources`."""
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=list(actions), resource_arns=list(resources), conditions=conditions
    )


def allow_key(grantee: iam.IGrantable, key: kms.IKey, *services: str, region: str) -> iam.Grant:
    """Let `grantee` use `key`, but only through these services (`s3`, `dynamodb`, ...) of the region."""
    via = {"StringEquals": {"kms:ViaService": [f"{service}.{region}.amazonaws.com" for service in services]}}
    return allow(grantee, _KEY_USE, [key.key_arn], via)
