from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import ACCOUNT, offenders, stack
from tests.unit.check.rules.policies import allowed, managed, policy, policy_arn, role, role_arn

RULE = "iam-pass-role-is-named"
TO_LAMBDA = {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}


def test_compliant() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("iam:PassRole", role_arn("x"), Condition=TO_LAMBDA)))) == []


@pytest.mark.parametrize("wide", ["*", f"arn:aws:iam::{ACCOUNT}:role/*", role_arn("x-?")])
def test_non_compliant(wide: str) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("iam:PassRole", wide, Condition=TO_LAMBDA)))) == ["Policy"]


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringLike": {"iam:PassedToService": "*"}},
        {"StringNotEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        {"StringEqualsIfExists": {"iam:PassedToService": "lambda.amazonaws.com"}},
        {"StringEquals": {"aws:ResourceTag/x": "y"}},
    ],
)
def test_to_whatever_service(condition: Any) -> None:
    found = offenders(RULE, stack(Policy=policy(allowed("iam:PassRole", role_arn("x"), Condition=condition))))
    assert found == ["Policy"]


def test_within_a_wildcard_action_and_all_but_some_roles() -> None:
    but = {"Effect": "Allow", "Action": "iam:PassRole", "NotResource": role_arn("x"), "Condition": TO_LAMBDA}
    found = offenders(RULE, stack(Wild=policy(allowed("iam:*", role_arn("x"))), But=policy(but)))
    assert sorted(set(found)) == ["But", "Wild"]


def test_a_boundary_may_name_a_prefix() -> None:
    ceiling = managed("ceiling", allowed("iam:PassRole", role_arn("x-*"), Condition=TO_LAMBDA))
    assert offenders(RULE, stack(C=ceiling, R=role("r", PermissionsBoundary=policy_arn("ceiling")))) == []


def test_not_applicable() -> None:
    denied = {"Effect": "Deny", "Action": "iam:PassRole", "Resource": "*"}
    assert offenders(RULE, stack(Read=policy(allowed("iam:GetRole", role_arn("x"))), Denied=policy(denied))) == []
