"""Keys that wait for their deletion."""

from __future__ import annotations

from .account import Account
from .belonging import TaggedResource


def waits_until(account: Account, resource: TaggedResource) -> str:
    """Of a key that waits for its deletion: until when, and how to bring it back; else an empty text."""
    if resource.kind != "key":
        return ""
    found = account.client("kms").describe_key(KeyId=resource.arn)["KeyMetadata"]
    if found["KeyState"] != "PendingDeletion":
        return ""
    return (
        f"waits for its deletion until {found['DeletionDate']:%Y-%m-%d}; to bring it back before: "
        f"aws kms cancel-key-deletion --key-id {resource.name}"
    )
