from __future__ import annotations

from dataclasses import replace

import pytest

from labcycle.check.template import Template
from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack
from tests.unit.check.rules.policies import admitted, allowed, bucket_policy, policy, role_arn

RULE = "iam-no-cross-team"
SQS = f"arn:aws:sqs:{REGION}:{ACCOUNT}"
OTHER = stack(
    "labcycle-growth-main",
    team="growth",
    Queue=resource("AWS::SQS::Queue", QueueName="jobs-of-growth"),
    Bucket=resource("AWS::S3::Bucket", BucketName="labcycle-growth-artifacts"),
)


def of_fraud(action: str, on: str) -> Template:
    return stack(
        "labcycle-fraud-main",
        team="fraud",
        Queue=resource("AWS::SQS::Queue", QueueName="jobs-of-fraud-1"),
        Policy=policy(allowed(action, on)),
    )


@pytest.mark.parametrize(
    ("action", "on"),
    [
        ("sqs:SendMessage", f"{SQS}:labcycle-fraud-*"),
        ("s3:GetObject", "arn:aws:s3:::labcycle-fraud-artifacts/*"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/labcycle/team/fraud/*"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/labcycle/network/shared/vpc-id"),
        ("sqs:SendMessage", f"{SQS}:jobs-of-fraud-*"),
        ("execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:01ee7a28a9/$default/GET/labcycle/*"),
        ("ec2:DescribeInstances", "*"),
    ],
)
def test_compliant(action: str, on: str) -> None:
    assert offenders(RULE, of_fraud(action, on), OTHER) == []


@pytest.mark.parametrize(
    ("action", "on"),
    [
        ("sqs:SendMessage", f"{SQS}:labcycle-growth-jobs"),
        ("sqs:SendMessage", f"{SQS}:labcycle-*"),
        ("sqs:SendMessage", f"{SQS}:labcycle-gr*"),
        ("sqs:SendMessage", f"{SQS}:jobs-of-growth"),
        ("sqs:SendMessage", f"{SQS}:jobs-*"),
        ("sqs:SendMessage", f"{SQS}:*"),
        ("s3:GetObject", "arn:aws:s3:::labcycle-growth-artifacts/*"),
        ("s3:GetObject", "arn:aws:s3:::labcycle-g*/*"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/labcycle/team/growth/tracking-url"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/labcycle/team/*"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/labcycle/*"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/labcycle/growth/trainer"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/labcycle/*"),
        ("logs:GetLogEvents", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/labcycle/growth/api:*"),
    ],
)
def test_non_compliant(action: str, on: str) -> None:
    assert offenders(RULE, of_fraud(action, on), OTHER) == ["Policy"]


def test_a_principal_of_another_team() -> None:
    admitting = bucket_policy(admitted({"AWS": role_arn("labcycle-growth-lead-1")}, "s3:GetObject"))
    assert offenders(RULE, stack("labcycle-fraud-main", team="fraud", Policy=admitting), OTHER) == ["Policy"]


def test_not_applicable() -> None:
    on = f"{SQS}:labcycle-growth-jobs"
    assert offenders(RULE, stack(Policy=policy(allowed("sqs:SendMessage", on))), OTHER) == []
    assert offenders(RULE, of_fraud("sqs:SendMessage", f"{SQS}:labcycle-*")) == []
    denied = {"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": on}
    assert offenders(RULE, stack("labcycle-fraud-main", team="fraud", Policy=policy(denied)), OTHER) == []


def test_a_name_that_begins_with_that_of_a_team_in_another_account_is_its_owners() -> None:
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:labcycle-fraud-lab-jobs"
    own = stack("labcycle-fraud-lab-main", team="fraud-lab", Policy=policy(allowed("sqs:SendMessage", arn)))
    objects = policy(allowed("s3:GetObject", "arn:aws:s3:::labcycle-fraud-lab-artifacts/*"))
    bucket = stack("labcycle-fraud-lab-more", team="fraud-lab", Policy=objects)
    other = replace(
        of_fraud("sqs:SendMessage", "arn:aws:sqs:eu-west-1:999988887777:labcycle-fraud-*"), account="999988887777"
    )
    assert offenders(RULE, own, bucket, other) == []
    assert offenders(RULE, own, of_fraud("sqs:SendMessage", f"{SQS}:labcycle-fraud-*")) == ["Policy"]
