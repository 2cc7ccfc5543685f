from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import ACCOUNT, offenders, resource, stack
from tests.unit.check.rules.policies import role, role_arn

RULE = "iam-trust-is-narrow"
ROOT = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
GITHUB = {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"}
SAML = {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/corp"}
AUD = "token.actions.githubusercontent.com:aud"
SUB = "token.actions.githubusercontent.com:sub"


def trusting(principal: Any, condition: Any = None, action: str = "sts:AssumeRole") -> list[str]:
    trust = {"Effect": "Allow", "Principal": principal, "Action": action}
    return offenders(RULE, stack(Role=role("r", trust=trust | ({"Condition": condition} if condition else {}))))


@pytest.mark.parametrize(
    ("principal", "condition"),
    [
        ({"Service": "lambda.amazonaws.com"}, None),
        ({"AWS": role_arn("x")}, None),
        (ROOT, {"ArnLike": {"aws:PrincipalArn": role_arn("team-*")}}),
        (ROOT, {"StringEquals": {"sts:ExternalId": "7f3a"}}),
        (GITHUB, {"StringEquals": {AUD: "sts.amazonaws.com"}, "StringLike": {SUB: "repo:corp/app:*"}}),
        (SAML, {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml", "SAML:sub": "x@example.com"}}),
    ],
)
def test_compliant(principal: Any, condition: Any) -> None:
    assert trusting(principal, condition) == []


@pytest.mark.parametrize(
    ("principal", "condition"),
    [
        ("*", None),
        ({"AWS": "*"}, {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
        ({"AWS": ["*", role_arn("x")]}, None),
        (ROOT, None),
        ({"AWS": ACCOUNT}, None),
        (ROOT, {"StringEquals": {"sts:RoleSessionName": "me"}}),
        (ROOT, {"ArnLike": {"aws:PrincipalArn": "*"}}),
        (ROOT, {"StringEqualsIfExists": {"sts:ExternalId": "7f3a"}}),
        (ROOT, {"StringNotEquals": {"sts:ExternalId": "7f3a"}}),
        (GITHUB, {"StringEquals": {AUD: "sts.amazonaws.com"}}),
        (GITHUB, {"StringEquals": {AUD: "sts.amazonaws.com"}, "StringLike": {SUB: "*"}}),
        (GITHUB, {"StringLike": {SUB: "repo:corp/app:*"}}),
        (SAML, {"StringEquals": {"SAML:aud": "https://signin.aws.amazon.com/saml"}}),
    ],
)
def test_non_compliant(principal: Any, condition: Any) -> None:
    assert trusting(principal, condition) == ["Role"]


def test_everybody_but_some() -> None:
    trust = {"Effect": "Allow", "NotPrincipal": {"AWS": role_arn("x")}, "Action": "sts:AssumeRole"}
    assert offenders(RULE, stack(Role=role("r", trust=trust))) == ["Role"]


def test_not_applicable() -> None:
    denied = {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}
    assert offenders(RULE, stack(Role=role("r", trust=denied), Bucket=resource("AWS::S3::Bucket"))) == []
