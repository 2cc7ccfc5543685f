from __future__ import annotations

import pytest

from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, allowed, policy

RULE = "iam-resource-fits-action"
LOG_GROUP = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/lambda/f"


@pytest.mark.parametrize(
    ("action", "on"),
    [
        ("dynamodb:GetItem", TABLE),
        ("dynamodb:Query", f"{TABLE}/index/*"),
        ("s3:GetObject", "arn:aws:s3:::b/some/prefix/*"),
        ("s3:GetObject", "arn:aws:s3:::b*"),
        ("s3:ListBucket", "arn:aws:s3:::b"),
        ("logs:PutLogEvents", f"{LOG_GROUP}:*"),
        ("logs:PutLogEvents", f"{LOG_GROUP}:log-stream:x"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f:live"),
        ("ssm:GetParameter", f"arn:aws:ssm:{REGION}::parameter/aws/service/ami"),
        ("s3:GetObject", "arn:aws:s3:::${aws:PrincipalTag/bucket}/${aws:username}"),
        ("xray:PutTraceSegments", "*"),
        ("apigateway:GET", f"arn:aws:apigateway:{REGION}::/apis/a1b2c3"),
        ("elasticloadbalancing:AddTags", f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/t/1"),
        ("sqs:SendMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:q?"),
    ],
)
def test_compliant(action: str, on: str) -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(action, on)))) == []


@pytest.mark.parametrize(
    ("action", "on"),
    [
        ("s3:GetObject", "arn:aws:s3:::b"),
        ("s3:ListBucket", "arn:aws:s3:::b/*"),
        ("dynamodb:GetItem", f"{TABLE}/index/i"),
        ("sqs:SendMessage", f"arn:aws:sns:{REGION}:{ACCOUNT}:t"),
        ("states:StartExecution", f"arn:aws:states:{REGION}:{ACCOUNT}:execution:m:e"),
        ("xray:PutTraceSegments", TABLE),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/a"),
    ],
)
def test_non_compliant(action: str, on: str) -> None:
    assert "Policy" in offenders(RULE, stack(Policy=policy(allowed(action, on))))


def test_a_bucket_and_its_objects_in_one_statement() -> None:
    both = allowed(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::b", "arn:aws:s3:::b/*"])
    assert offenders(RULE, stack(Policy=policy(both))) == []


def test_a_resource_too_many_and_an_action_too_many() -> None:
    resource_too_many = allowed("s3:GetObject", ["arn:aws:s3:::b/*", "arn:aws:s3:::b"])
    action_too_many = allowed(["s3:GetObject", "s3:ListBucket"], "arn:aws:s3:::b/*")
    assert offenders(RULE, stack(Resource=policy(resource_too_many), Action=policy(action_too_many))) == [
        "Resource",
        "Action",
    ]


def test_what_nobody_knows_is_not_judged() -> None:
    unknown = {"Fn::GetAtt": ["Custom", "Arn"]}
    template = stack(Custom=resource("Custom::Thing"), Policy=policy(allowed("sqs:SendMessage", unknown)))  # type: ignore[arg-type]
    assert offenders(RULE, template) == []


def test_an_action_that_is_not_known_may_take_any_resource() -> None:
    assert offenders(RULE, stack(Policy=policy(allowed(["sqs:SendMesage", "sqs:*"], TABLE)))) == []
    beside = policy(allowed(["sqs:*", "dynamodb:GetItem"], [TABLE, f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"]))
    assert offenders(RULE, stack(Policy=beside)) == []
    assert offenders(RULE, stack(Policy=policy(allowed(["sqs:*", "s3:GetObject"], TABLE)))) == ["Policy"]


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Bucket=resource("AWS::S3::Bucket"))) == []
