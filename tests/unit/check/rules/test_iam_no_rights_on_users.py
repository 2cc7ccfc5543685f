from __future__ import annotations

from tests.unit.check.rules.cases import offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, allowed, document, managed, policy

RULE = "iam-no-rights-on-users"
READ = document(allowed("dynamodb:GetItem", TABLE))


def test_compliant() -> None:
    user = resource("AWS::IAM::User", UserName="u", Groups=["g"])
    assert offenders(RULE, stack(User=user, Policy=policy(allowed("dynamodb:GetItem", TABLE)))) == []


def test_non_compliant() -> None:
    found = offenders(
        RULE,
        stack(
            Key=resource("AWS::IAM::AccessKey", UserName="u"),
            UserPolicy=resource("AWS::IAM::UserPolicy", UserName="u", PolicyName="p", PolicyDocument=READ),
            Policy=resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument=READ, Users=["u"]),
            Inline=resource("AWS::IAM::User", Policies=[{"PolicyName": "p", "PolicyDocument": READ}]),
            Managed=resource("AWS::IAM::User", ManagedPolicyArns=["arn:aws:iam::aws:policy/ReadOnlyAccess"]),
            Password=resource("AWS::IAM::User", LoginProfile={"Password": "x"}),
        ),
    )
    assert sorted(found) == ["Inline", "Key", "Managed", "Password", "Policy", "UserPolicy"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Managed=managed("m", allowed("dynamodb:GetItem", TABLE)))) == []
