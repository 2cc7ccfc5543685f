from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack

RULE = "bucket-tls-only"
BUCKET = resource("AWS::S3::Bucket", BucketName="own")
BOTH = ["arn:aws:s3:::own", "arn:aws:s3:::own/*"]
PLAIN = {"Bool": {"aws:SecureTransport": "false"}}
DENY = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": BOTH, "Condition": PLAIN}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return resource("AWS::S3::BucketPolicy", Bucket={"Ref": "Bucket"}, PolicyDocument={"Statement": list(statements)})


@pytest.mark.parametrize(
    "statements",
    [
        [DENY],
        [{**DENY, "Principal": {"AWS": "*"}, "Action": "*", "Resource": "*"}],
        [{**DENY, "Condition": {"Bool": {"aws:securetransport": False}}}],
        [{**DENY, "Resource": BOTH[:1]}, {**DENY, "Resource": BOTH[1:]}],
        [{**DENY, "Resource": ["arn:*:own", "arn:aws:s3:::o?n/*"]}],
    ],
)
def test_compliant(statements: list[dict[str, Any]]) -> None:
    assert offenders(RULE, stack(Bucket=BUCKET, Policy=policy(*statements))) == []


@pytest.mark.parametrize(
    "statements",
    [
        [{**DENY, "Effect": "Allow"}],
        [{**DENY, "Principal": {"AWS": "123456789012"}}],
        [{**DENY, "Action": "s3:GetObject"}],
        [{**DENY, "Resource": BOTH[1:]}],
        [{**DENY, "Resource": BOTH[:1]}],
        [{**DENY, "Resource": ["arn:aws:s3:::own", "arn:aws:s3:::own/*/x"]}],
        [{**DENY, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}],
        [{**DENY, "Condition": {**PLAIN, "StringEquals": {"aws:username": "x"}}}],
        [{**DENY, "Condition": {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}}}],
        [{key: part for key, part in DENY.items() if key != "Condition"}],
    ],
)
def test_non_compliant(statements: list[dict[str, Any]]) -> None:
    assert offenders(RULE, stack(Bucket=BUCKET, Policy=policy(*statements))) == ["Bucket"]


def test_a_bucket_without_a_policy() -> None:
    assert offenders(RULE, stack(Bucket=BUCKET, Other=resource("AWS::S3::BucketPolicy", Bucket="other"))) == ["Bucket"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Topic=resource("AWS::SNS::Topic"))) == []
