"""What is lost, or cannot be had back."""

from __future__ import annotations

from tests.planted.draft import Draft, fault

FOUNDATION = "labcycle-fraud-foundation"
TRACKING = "labcycle-fraud-tracking"


@fault(TRACKING, "table-point-in-time-recovery")
def no_recovery(draft: Draft) -> str:
    """The ledger has no point-in-time recovery."""
    table = draft.find("AWS::DynamoDB::Table")
    draft.properties(table)["PointInTimeRecoverySpecification"] = {"PointInTimeRecoveryEnabled": False}
    return table


@fault(TRACKING, "table-deletion-protection")
def no_deletion_protection(draft: Draft) -> str:
    """The ledger has no deletion protection."""
    table = draft.find("AWS::DynamoDB::Table")
    draft.properties(table)["DeletionProtectionEnabled"] = False
    return table


@fault(TRACKING, "table-retained")
def deletion_policy_removed(draft: Draft) -> str:
    """The ledger is deleted with its stack."""
    table = draft.find("AWS::DynamoDB::Table")
    del draft.resource(table)["DeletionPolicy"]
    return table


@fault(FOUNDATION, "bucket-retained")
def bucket_deleted_with_its_stack(draft: Draft) -> str:
    """The anchors are deleted with their stack."""
    bucket = draft.find("AWS::S3::Bucket", "/Anchors/")
    draft.resource(bucket)["DeletionPolicy"] = "Delete"
    return bucket


@fault(FOUNDATION, "bucket-versioned")
def no_versions(draft: Draft) -> str:
    """The anchors have no versions."""
    bucket = draft.find("AWS::S3::Bucket", "/Anchors/")
    draft.properties(bucket)["VersioningConfiguration"]["Status"] = "Suspended"
    return bucket


@fault(FOUNDATION, "key-retained")
def key_deleted_with_its_stack(draft: Draft) -> str:
    """The team's key is deleted with its stack."""
    key = draft.find("AWS::KMS::Key")
    draft.resource(key)["DeletionPolicy"] = "Delete"
    return key


@fault(FOUNDATION, "key-rotates")
def key_without_rotation(draft: Draft) -> str:
    """The team's key is never rotated."""
    key = draft.find("AWS::KMS::Key")
    draft.properties(key)["EnableKeyRotation"] = False
    return key


@fault(TRACKING, "log-group-retention")
def no_retention(draft: Draft) -> str:
    """The log of a function is kept for ever."""
    group = draft.find("AWS::Logs::LogGroup", "/LifeCycleLog/")
    del draft.properties(group)["RetentionInDays"]
    return group
