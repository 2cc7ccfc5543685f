from __future__ import annotations

import pytest

from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, admitted, allowed, key, managed, policy, policy_arn, role

RULE = "iam-no-wildcard-resource"


def test_compliant() -> None:
    objects = allowed("s3:GetObject", "arn:aws:s3:::b/*")
    assert offenders(RULE, stack(Policy=policy(allowed("dynamodb:GetItem", TABLE), objects))) == []


@pytest.mark.parametrize(
    "wide",
    [
        "*",
        "arn:aws:*:eu-west-1:123456789012:table/t",
        "arn:aws:dynamodb:eu-west-1:*:table/t",
        f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:*",
        "arn:aws:dynamodb:*",
    ],
)
def test_non_compliant(wide: str) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("dynamodb:GetItem", wide)))) == ["Policy"]


@pytest.mark.parametrize("every", ["arn:aws:s3:::*", "arn:aws:s3:::*/*"])
def test_every_bucket(every: str) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("s3:GetObject", every)))) == ["Policy"]


def test_what_is_not_named_cannot_be_without_a_resource() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("sqs:*", "*")))) == ["Policy"]


def test_all_but_some_resources() -> None:
    wide = {"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::b/*"}
    assert offenders(RULE, stack(Policy=policy(wide))) == ["Policy"]


def test_an_action_that_takes_no_resource() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(["xray:PutTraceSegments", "ec2:DescribeInstances"], "*")))) == []


def test_classic_metrics_take_no_resource_though_datasets_do() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed("cloudwatch:PutMetricData", "*")))) == []


def test_what_takes_a_resource_is_not_hidden_by_what_takes_none() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(["xray:PutTraceSegments", "sqs:SendMessage"], "*")))) == [
        "Policy"
    ]


def test_a_boundary_and_a_denial_are_ceilings_and_a_keys_own_policy_means_the_key() -> None:
    found = offenders(
        RULE,
        stack(
            Ceiling=managed("ceiling", allowed("sqs:SendMessage", "*")),
            Role=role("r", PermissionsBoundary=policy_arn("ceiling")),
            Denied=policy({"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"}),
            Key=key(admitted({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "kms:Decrypt")),
        ),
    )
    assert found == []


def test_what_nobody_knows_is_no_wildcard() -> None:
    unknown = {"Fn::GetAtt": ["Custom", "Arn"]}
    template = stack(Custom=resource("Custom::Thing"), Policy=policy(allowed("sqs:SendMessage", unknown)))  # type: ignore[arg-type]
    assert offenders(RULE, template) == []


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Bucket=resource("AWS::S3::Bucket"))) == []
