from __future__ import annotations

import pytest

from labcycle.check.estate import Estate
from labcycle.check.rules import rule
from tests.unit.check.rules.cases import offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, allowed, policy, role

RULE = "iam-action-exists"


@pytest.mark.parametrize("action", ["dynamodb:GetItem", "DynamoDB:getitem", "dynamodb:Get*", "*"])
def test_compliant(action: str) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(action, TABLE)))) == []


@pytest.mark.parametrize("action", ["dynamodb:GetItme", "dynamoodb:GetItem", "dynamodb:Fetch*", "GetItem", "", ":"])
def test_non_compliant(action: str) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(action, TABLE)))) == ["Policy"]


@pytest.mark.parametrize(
    ("action", "near"),
    [
        ("dynamodb:GetItme", "dynamodb:GetItem"),
        ("dynamoodb:PutItem", "dynamodb:PutItem"),
        ("s3:PutObjct", "s3:PutObject"),
    ],
)
def test_the_nearest_action_is_named(action: str, near: str) -> None:
    template = stack(Policy=policy(allowed(action, TABLE)))
    (finding,) = rule("iam_action_exists").findings(template, Estate([template]))
    assert finding.message == f"got {action}, which is no action; nearest is {near}"
    assert finding.property_path == "Properties.PolicyDocument.Statement.0.Action"


def test_a_misspelt_denial_denies_nothing() -> None:
    found = offenders(
        RULE,
        stack(
            Denied=policy({"Effect": "Deny", "Action": "iam:CreateUsers", "Resource": "*"}),
            But=policy({"Effect": "Deny", "NotAction": "iam:Gett", "Resource": "*"}),
        ),
    )
    assert sorted(found) == ["But", "Denied"]


def test_a_denial_may_be_of_actions_to_come_but_not_of_a_service_to_come() -> None:
    def denied(action: str) -> list[str]:
        return offenders(RULE, stack(Policy=policy({"Effect": "Deny", "Action": action, "Resource": "*"})))

    assert denied("iam:Transmogrify*") == []
    assert denied("iamm:Create*") == ["Policy"]


def test_trusts_too() -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRoles"}
    assert offenders(RULE, stack(Role=role("r", trust=trust))) == ["Role"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Bucket=resource("AWS::S3::Bucket"))) == []
