"""Grants with exact actions on exact resources. CDK's own `grant_*` use wildcards such as `s3:GetObject*`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

KeyUse = Literal["read and write items", "read objects", "write objects", "publish"]
# By what the caller does, the service that uses the key in the caller's name, and what it asks of the key. DynamoDB decrypts
# the table's key as who reads or writes items, and encrypts by its own grant; more is asked of who chooses the key:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html#dynamodb-cmk-trail. S3 reads the
# parts of a large object again: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html#mpuAndPermissions.
_KEY_USES: dict[KeyUse, tuple[str, tuple[str, ...]]] = {
    "read and write items": ("dynamodb", ("kms:Decrypt", "kms:DescribeKey")),
    "read objects": ("s3", ("kms:Decrypt",)),
    "write objects": ("s3", ("kms:Decrypt", "kms:GenerateDataKey")),
    "publish": ("sns", ("kms:Decrypt", "kms:GenerateDataKey")),
}


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


def allow_key(grantee: iam.IGrantable, key: kms.IKey, *uses: KeyUse, region: str) -> None:
    """Let `grantee` use `key`, but only for these uses and through their services in the region."""
    services: dict[str, set[str]] = {}
    for service, actions in (_KEY_USES[use] for use in uses):
        for action in actions:
            services.setdefault(action, set()).add(f"{service}.{region}.amazonaws.com")
    # A statement for all actions through the same services: a role holds few characters.
    for through in dict.fromkeys(map(frozenset, services.values())):
        together = [action for action, found in services.items() if found == through]
        allow(grantee, together, [key.key_arn], {"StringEquals": {"kms:ViaService": sorted(through)}})
