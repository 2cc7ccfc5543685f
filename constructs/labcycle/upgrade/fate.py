"""What becomes of what a resource holds when the resource is replaced or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .stateful import Holding

Outcome = Literal["lost", "kept", "at risk"]
_RETAINED = ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True)
class Resource:
    """A deployed resource: its resolved properties, its given name, and its policies as the template states them.

    Parameters
    ----------
    emptied
        A custom resource of the stack empties the bucket before it is deleted.
    """

    kind: str
    properties: Mapping[str, Any]
    name: str
    deletion_policy: str
    replace_policy: str
    emptied: bool


@dataclass(frozen=True)
class Fate:
    """Whether the data is lost, and in a sentence what happens."""

    outcome: Outcome
    sentence: str


def fate_of_replaced(resource: Resource, new: Mapping[str, Any], holding: Holding) -> Fate:
    """The new resource is empty; this is what becomes of the old one.

    Parameters
    ----------
    new
        The resource in the new template: which version's policy counts is not documented, so both must keep it.
    """
    after = str(new.get("UpdateReplacePolicy", ""))
    before = resource.replace_policy
    if before in _RETAINED and after in _RETAINED:
        return Fate(
            "kept",
            "The new one is empty. The old one stays with all that it holds, outside the stack (UpdateReplacePolicy)",
        )
    if before in _RETAINED or after in _RETAINED:
        return Fate(
            "at risk",
            "Only one of the two versions has UpdateReplacePolicy: Retain; set it in an update of its own first",
        )
    return _deleted(resource, holding, before == after == "Snapshot" or (holding.snapshot_by_default and not before))


def fate_of_deleted(resource: Resource, holding: Holding) -> Fate:
    """The resource is taken out of the stack, or the stack is deleted."""
    policy = resource.deletion_policy
    if policy in _RETAINED:
        named = f"; it is in the way of a new one named {resource.name}" if resource.name else ""
        return Fate("kept", f"It stays with all that it holds, outside the stack (DeletionPolicy: {policy}){named}")
    return _deleted(resource, holding, policy == "Snapshot" or (holding.snapshot_by_default and not policy))


def _deleted(resource: Resource, holding: Holding, snapshot: bool) -> Fate:
    if holding.protection and resource.properties.get(holding.protection[0]) == holding.protection[1]:
        # https://repost.aws/knowledge-center/cloudformation-stack-cleanup-stuck
        return Fate(
            "kept",
            f"{holding.protection[0]} keeps it: an update tries three times to delete it and leaves it outside the stack; "
            "deleting the stack fails",
        )
    if snapshot:
        return Fate("kept", "It is deleted, and a last snapshot of it is kept")
    if resource.kind == "AWS::KMS::Key":
        days = resource.properties.get("PendingWindowInDays", 30)
        return Fate(
            "lost",
            f"The key waits {days} days for its deletion, unusable, and can be brought back until then; afterwards nothing reads it",
        )
    if resource.emptied:
        return Fate("lost", "It is emptied by the stack's custom resource (auto_delete_objects), and deleted")
    if holding.refuses_while_full:
        return Fate(
            "kept",
            "The service deletes it only when it is empty: an update tries three times and leaves it outside the stack; "
            "deleting the stack fails",
        )
    recovery = resource.properties.get("PointInTimeRecoverySpecification")
    if isinstance(recovery, Mapping) and recovery.get("PointInTimeRecoveryEnabled") is True:
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html
        return Fate(
            "lost",
            "It is deleted with all that it holds. A system backup of its last state is kept for 35 days, to restore to another table",
        )
    return Fate("lost", "It is deleted with all that it holds")
