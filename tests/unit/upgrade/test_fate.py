"""What becomes of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.upgrade.versions import TABLE, compared, keyed, only, with_properties

BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {}}


def policies(deletion: str, replace: str) -> dict[str, Any]:
    return {"DeletionPolicy": deletion, "UpdateReplacePolicy": replace}


def outcome(change: Any) -> str:
    assert change.fate is not None
    return str(change.fate.outcome)


def test_a_table_that_is_replaced_loses_its_items(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": TABLE}, {"Ledger": keyed(TABLE, "run")}))
    assert (outcome(change), change.holds, change.refusal) == ("lost", "items", "")
    assert "35 days" not in change.fate.sentence  # type: ignore[union-attr]


def test_with_recovery_a_system_backup_is_kept_for_a_while(tmp_path: Path) -> None:
    table = with_properties(TABLE, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    change = only(compared(tmp_path, {"Ledger": table}, {"Ledger": keyed(table, "run")}))
    assert outcome(change) == "lost" and "35 days" in change.fate.sentence  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Retain", "Retain", "kept"),
        ("Retain", "Delete", "at risk"),
        ("Delete", "Retain", "at risk"),
        ("Delete", "Delete", "lost"),
    ],
)
def test_what_is_replaced_is_kept_only_if_both_versions_say_so(
    tmp_path: Path, before: str, after: str, expected: str
) -> None:
    old, new = TABLE | policies("Delete", before), keyed(TABLE, "run") | policies("Retain", after)
    assert outcome(only(compared(tmp_path, {"Ledger": old}, {"Ledger": new}))) == expected


@pytest.mark.parametrize(
    ("policy", "expected"), [("Retain", "kept"), ("RetainExceptOnCreate", "kept"), ("Delete", "lost"), ("", "lost")]
)
def test_what_is_deleted_is_kept_if_the_deployed_template_says_so(tmp_path: Path, policy: str, expected: str) -> None:
    table = TABLE | (policies(policy, "Delete") if policy else {})
    change = only(compared(tmp_path, {"Ledger": table}, {}))
    assert (change.action, outcome(change)) == ("deleted", expected)


def test_what_is_kept_under_a_name_is_in_the_way_of_a_new_one(tmp_path: Path) -> None:
    table = with_properties(TABLE, TableName="items") | policies("Retain", "Retain")
    change = only(compared(tmp_path, {"Ledger": table}, {}))
    assert "in the way of a new one named items" in change.fate.sentence  # type: ignore[union-attr]


def test_protection_keeps_it(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Ledger": with_properties(TABLE, DeletionProtectionEnabled=True)}, {}))
    assert outcome(change) == "kept" and "DeletionProtectionEnabled" in change.fate.sentence  # type: ignore[union-attr]
    change = only(compared(tmp_path, {"Ledger": with_properties(TABLE, DeletionProtectionEnabled=False)}, {}))
    assert outcome(change) == "lost"


def test_a_bucket_is_kept_unless_the_stack_empties_it(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"Bucket": BUCKET}, {}))
    assert outcome(change) == "kept" and "empty" in change.fate.sentence  # type: ignore[union-attr]
    emptier = {"Type": "Custom::S3AutoDeleteObjects", "Properties": {"BucketName": {"Ref": "Bucket"}}}
    (change,) = compared(tmp_path, {"Bucket": BUCKET, "Emptier": emptier}, {}).stateful
    assert outcome(change) == "lost"


def test_a_database_has_a_last_snapshot_by_default(tmp_path: Path) -> None:
    database = {"Type": "AWS::RDS::DBInstance", "Properties": {"Engine": "postgres"}}
    assert outcome(only(compared(tmp_path, {"Db": database}, {}))) == "kept"
    assert outcome(only(compared(tmp_path, {"Db": database | policies("Delete", "Delete")}, {}))) == "lost"


def test_a_key_says_what_is_encrypted_with_it_and_how_long_it_waits(tmp_path: Path) -> None:
    key = {"Type": "AWS::KMS::Key", "Properties": {"PendingWindowInDays": 10}}
    table = with_properties(
        TABLE, TableName="items", SSESpecification={"KMSMasterKeyId": {"Fn::GetAtt": ["Key", "Arn"]}}
    )
    (change,) = compared(tmp_path, {"Key": key, "Ledger": table}, {"Ledger": table}).stateful
    assert outcome(change) == "lost" and "10 days" in change.fate.sentence  # type: ignore[union-attr]
    assert change.holds.endswith("encrypted with it: Table items")


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeySpec": "SYMMETRIC_DEFAULT"}}
    assert compared(tmp_path, {"Key": key}, {"Key": with_properties(key, KeySpec="RSA_2048")}).changes == ()


def test_a_named_resource_is_not_replaced_while_its_name_stays(tmp_path: Path) -> None:
    table = with_properties(TABLE, TableName="labcycle-fraud-ledger")
    change = only(compared(tmp_path, {"Ledger": table}, {"Ledger": keyed(table, "run")}))
    assert "refuses the update while the name stays labcycle-fraud-ledger" in change.refusal
    assert outcome(change) == "lost"
    assert change.holds.startswith("the ledger of the team fraud: runs")
    renamed = with_properties(keyed(table, "run"), TableName="other")
    assert only(compared(tmp_path, {"Ledger": table}, {"Ledger": renamed})).refusal == ""


@pytest.mark.parametrize(
    ("kind", "holds"), [("artifacts", "registered models"), ("logs", "access logs"), ("anchors", "custody chains")]
)
def test_buckets_of_a_team_are_known_by_their_names(tmp_path: Path, kind: str, holds: str) -> None:
    bucket = with_properties(BUCKET, BucketName=f"labcycle-growth-{kind}-123456789012-eu-west-1")
    change = only(compared(tmp_path, {"Bucket": bucket}, {}))
    assert holds in change.holds and "team growth" in change.holds


def test_a_role_holds_something_under_a_name_of_its_own_only(tmp_path: Path) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}
    assert only(compared(tmp_path, {"Role": role}, {})).holds == ""
    assert "sessions" in only(compared(tmp_path, {"Role": with_properties(role, RoleName="ada")}, {})).holds


def test_a_type_that_is_not_in_the_table_may_hold_something(tmp_path: Path) -> None:
    change = only(compared(tmp_path, {"New": {"Type": "AWS::Fresh::Store"}}, {}))
    assert change.stateful and "does not know" in change.holds
