from __future__ import annotations

import pytest

from tests.unit.check.rules.cases import offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, admitted, allowed, bucket_policy, managed, policy, policy_arn, role

RULE = "iam-no-wildcard-action"


def test_compliant() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("dynamodb:GetItem", TABLE)))) == []


@pytest.mark.parametrize(
    "action", ["*", "dynamodb:*", "dynamodb:Get*", "dynamodb:GetIte?", ["dynamodb:GetItem", "s3:*"]]
)
def test_non_compliant(action: str | list[str]) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(action, TABLE)))) == ["Policy"]


def test_all_but_some_actions() -> None:
    assert offenders(RULE, stack(Policy=policy({"Effect": "Allow", "NotAction": "iam:*", "Resource": TABLE}))) == [
        "Policy"
    ]


def test_inline_policies_trusts_and_resource_policies_too() -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:*"}
    found = offenders(
        RULE,
        stack(
            Role=role("r", allowed("s3:*", "arn:aws:s3:::b")),
            Trust=role("t", trust=trust),
            Policy=bucket_policy(admitted({"AWS": "123456789012"}, "s3:*")),
        ),
    )
    assert sorted(found) == ["Policy", "Role", "Trust"]


def test_a_denial_and_a_boundary_are_ceilings() -> None:
    ceiling = managed("ceiling", allowed("s3:*", "*"))
    denied = policy({"Effect": "Deny", "Action": "iam:*", "Resource": "*"})
    guarded = role("r", PermissionsBoundary=policy_arn("ceiling"))
    assert offenders(RULE, stack(Ceiling=ceiling, Denied=denied, Role=guarded)) == []


def test_a_boundary_that_is_also_attached_gives_rights() -> None:
    ceiling = managed("ceiling", allowed("s3:*", "*"))
    arn = policy_arn("ceiling")
    both = role("r", PermissionsBoundary=arn, ManagedPolicyArns=[arn])
    assert offenders(RULE, stack(Ceiling=ceiling, Role=both)) == ["Ceiling"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Bucket=resource("AWS::S3::Bucket"))) == []
