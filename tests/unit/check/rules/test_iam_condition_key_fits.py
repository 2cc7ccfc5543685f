from __future__ import annotations

import re
from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.rules import rule
from tests.unit.check.rules.cases import ACCOUNT, offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, admitted, allowed, bucket_policy, policy, role, role_arn

RULE = "iam-condition-key-fits"


@pytest.mark.parametrize(
    ("action", "condition"),
    [
        ("dynamodb:GetItem", {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "x"}}),
        ("dynamodb:GetItem", {"StringEqualsIfExists": {"AWS:PrincipalTag/team": "x"}}),
        ("dynamodb:GetItem", {"Null": {"aws:MultiFactorAuthAge": "true"}, "Bool": {"aws:SecureTransport": "true"}}),
        ("s3:PutObject", {"StringEquals": {"s3:RequestObjectTag/kind": "x"}}),
        ("kms:Decrypt", {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}),
        ("kms:Decrypt", {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": "arn:aws:s3:::b"}}),
        (
            "dynamodb:GetItem",
            {"ArnEquals": {"lambda:SourceFunctionArn": "arn:aws:lambda:eu-west-1:123456789012:function:f"}},
        ),
        ("secretsmanager:GetSecretValue", {"StringEquals": {"secretsmanager:ResourceTag/team": "x"}}),
        ("ssm:StartSession", {"StringEquals": {"ssm:resourceTag/team": "x"}}),
        ("iam:PassRole", {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        ("dynamodb:*", {"StringEquals": {"dynamodb:LeadingKeys": "x"}}),
        (["dynamodb:ListTables", "dynamodb:GetItem"], {"StringEquals": {"dynamodb:LeadingKeys": "x"}}),
    ],
)
def test_compliant(action: Any, condition: Any) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(action, TABLE, Condition=condition)))) == []


@pytest.mark.parametrize(
    ("action", "condition", "message"),
    [
        (
            "s3:GetObject",
            {"StringEqual": {"s3:ExistingObjectTag/x": "y"}},
            "the operator StringEqual, .* nearest is StringEquals",
        ),
        ("s3:GetObject", {"NullIfExists": {"aws:SourceIp": "true"}}, "the operator NullIfExists"),
        (
            "dynamodb:GetItem",
            {"StringEquals": {"dynamodb:LeadingKey": "x"}},
            "dynamodb:LeadingKey, which does not exist",
        ),
        ("dynamodb:GetItem", {"StringEquals": {"aws:PrincipalOrg": "x"}}, "aws:PrincipalOrg, which does not exist"),
        (
            "sqs:SendMessage",
            {"StringEquals": {"dynamodb:LeadingKeys": "x"}},
            "dynamodb:LeadingKeys, which none of sqs:SendMessage",
        ),
        ("s3:GetObject", {"StringEquals": {"s3:prefix": "x"}}, "s3:prefix, which none of s3:GetObject"),
    ],
)
def test_non_compliant(action: str, condition: Any, message: str) -> None:
    template = stack(Policy=policy(allowed(action, TABLE, Condition=condition)))
    (finding,) = rule("iam_condition_key_fits").findings(template, Estate([template]))
    assert finding.logical_id == "Policy"
    assert re.search(message, finding.message)


def test_denials_and_resource_policies_too() -> None:
    denied = admitted("*", "s3:PutObject", Condition={"Bool": {"aws:SecureTransports": "false"}}) | {"Effect": "Deny"}
    assert offenders(RULE, stack(Policy=bucket_policy(denied))) == ["Policy"]


def test_the_claims_of_a_provider_are_keys_where_it_is_trusted() -> None:
    def trusting(provider: str) -> list[str]:
        trust = {
            "Effect": "Allow",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": {"id.example.com/realm:sub": "x"}},
        }
        return offenders(RULE, stack(Role=role("r", trust=trust)))

    assert trusting("id.example.com/realm") == []
    assert trusting("other.example.com") == ["Role"]


def test_the_session_name_of_who_assumes_a_role() -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": role_arn("x")},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:RoleSessionName": "me"}},
    }
    assert offenders(RULE, stack(Role=role("r", trust=trust))) == []


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("s3:GetObject", "*")), Bucket=resource("AWS::S3::Bucket"))) == []
