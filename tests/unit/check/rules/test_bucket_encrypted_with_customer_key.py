from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "bucket-encrypted-with-customer-key"
LOGS = {
    "Effect": "Allow",
    "Principal": {"Service": "logging.s3.amazonaws.com"},
    "Action": "s3:PutObject",
    "Resource": "*",
}


def bucket(algorithm: Any, **more: Any) -> dict[str, Any]:
    default = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}
    return resource("AWS::S3::Bucket", BucketEncryption={"ServerSideEncryptionConfiguration": [default]}, **more)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return resource("AWS::S3::BucketPolicy", Bucket={"Ref": "Bucket"}, PolicyDocument={"Statement": list(statements)})


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse", {"Ref": "Algorithm"}])
def test_compliant(algorithm: Any) -> None:
    assert offenders(RULE, stack(Bucket=bucket(algorithm))) == []


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [{**LOGS, "Effect": "Deny"}],
        [{**LOGS, "Action": "s3:GetObject"}],
        [{**LOGS, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}],
    ],
)
def test_non_compliant(statements: list[dict[str, Any]]) -> None:
    assert offenders(RULE, stack(Bucket=bucket("AES256"), Policy=policy(*statements))) == ["Bucket"]


def test_a_bucket_without_a_policy() -> None:
    assert offenders(RULE, stack(Bucket=bucket("AES256", ObjectLockEnabled=False))) == ["Bucket"]


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:Put*", ["s3:GetBucketAcl", "S3:PUTOBJECT"]])
def test_logs_are_delivered_to_no_other(action: Any) -> None:
    assert offenders(RULE, stack(Bucket=bucket("AES256"), Policy=policy({**LOGS, "Action": action}))) == []


def test_locked_records_outlive_any_key() -> None:
    assert offenders(RULE, stack(Bucket=bucket("AES256", ObjectLockEnabled=True))) == []


@pytest.mark.parametrize(
    "one", [resource("AWS::S3::Bucket"), resource("AWS::S3::Bucket", BucketEncryption="?"), resource("AWS::SNS::Topic")]
)
def test_not_applicable(one: dict[str, Any]) -> None:
    assert offenders(RULE, stack(Bucket=one)) == []
