"""Rules on policies bear whatever is written by hand; what is malformed is for the schema checkers to say."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check.rules import all_rules
from tests.unit.check.rules.cases import offenders, resource, stack
from tests.unit.check.rules.policies import managed, policy_arn

RULES = [rule.id for rule in all_rules() if rule.id.startswith(("iam-", "resource-policy-"))]
DOCUMENTS: list[Any] = [
    None,
    "text",
    7,
    [],
    {},
    {"Statement": None},
    {"Statement": "text"},
    {"Statement": ["text", None, 7, []]},
    {"Statement": {}},
    {"Statement": [{"Effect": "Allow"}]},
    {
        "Statement": [
            {"Effect": ["Allow"], "Action": {"x": "y"}, "Resource": {"x": "y"}, "Principal": 7, "Condition": "x"}
        ]
    },
    {
        "Statement": [
            {"Effect": "Allow", "Action": [None, 7, ":", "s3:", ""], "Resource": [None, "arn:", "arn:aws:s3", ""]}
        ]
    },
    {
        "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEquals": ["x"]}}
        ]
    },
    {
        "Statement": [
            {"Effect": "Allow", "Action": "iam:PassRole", "Principal": {"AWS": [{}], "Service": None, "Federated": 7}}
        ]
    },
    {
        "Statement": [
            {
                "Effect": "Allow",
                "Action": {"Ref": "Nothing"},
                "Resource": {"Fn::GetAtt": "x"},
                "Principal": {"Ref": "y"},
            }
        ]
    },
]


@pytest.mark.parametrize("rule_id", RULES)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_rule_breaks(rule_id: str, document: Any) -> None:
    template = stack(
        team="a",
        Policy=resource("AWS::IAM::Policy", PolicyDocument=document, Roles=document),
        Managed=managed("m") | {"Properties": {"PolicyDocument": document}},
        Role=resource(
            "AWS::IAM::Role",
            AssumeRolePolicyDocument=document,
            Policies=[{"PolicyDocument": document}, document],
            PermissionsBoundary=policy_arn("m"),
        ),
        Odd=resource("AWS::IAM::Role", Policies=document, ManagedPolicyArns=document, PermissionsBoundary=document),
        User=resource("AWS::IAM::User", Policies=document, PermissionsBoundary=document),
        Bucket=resource("AWS::S3::BucketPolicy", PolicyDocument=document, Bucket=document),
        Topic=resource("AWS::SNS::TopicPolicy", PolicyDocument=document, Topics=document),
        Key=resource("AWS::KMS::Key", KeyPolicy=document),
        Bus=resource("AWS::Events::EventBusPolicy", Statement=document),
        Permission=resource("AWS::Lambda::Permission", Principal=document, SourceArn=document),
        Bare={"Type": "AWS::IAM::Policy"},
        Nothing={"Type": "AWS::IAM::Role", "Properties": None},
    )
    other = stack("other", team="b")
    assert set(offenders(rule_id, template, other)) <= set(template.body["Resources"])
