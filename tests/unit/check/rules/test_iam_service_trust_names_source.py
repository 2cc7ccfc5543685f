from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack
from tests.unit.check.rules.policies import admitted, bucket_policy, document, key, role, topic_policy

RULE = "iam-service-trust-names-source"
OF_US = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def trust(service: str, condition: Any = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return role("r", trust=statement | ({"Condition": condition} if condition else {}))


def admits(service: str, condition: Any = None) -> dict[str, Any]:
    return admitted({"Service": service}, "x:Y", **({"Condition": condition} if condition else {}))


def test_compliant() -> None:
    found = offenders(
        RULE,
        stack(
            Role=trust("states.amazonaws.com", OF_US),
            Bucket=bucket_policy(admits("logging.s3.amazonaws.com", {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::b"}})),
            Topic=topic_policy(admits("cloudwatch.amazonaws.com", OF_US)),
            Key=key(admits("cloudwatch.amazonaws.com", {"StringEquals": {"AWS:SourceAccount": ACCOUNT}})),
            Function=resource(
                "AWS::Lambda::Permission",
                FunctionName="f",
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/r",
            ),
        ),
    )
    assert found == []


@pytest.mark.parametrize(
    "service", ["batch", "ecs-tasks", "events", "pipes", "sagemaker", "scheduler", "states", "codebuild"]
)
@pytest.mark.parametrize(
    "condition", [None, {"ArnLike": {"aws:SourceArn": "*"}}, {"StringNotEquals": {"aws:SourceAccount": "1"}}]
)
def test_non_compliant_trust(service: str, condition: Any) -> None:
    assert offenders(RULE, stack(Role=trust(f"{service}.amazonaws.com", condition))) == ["Role"]


def test_non_compliant_resource_policies() -> None:
    found = offenders(
        RULE,
        stack(
            Bucket=bucket_policy(admits("logging.s3.amazonaws.com")),
            Topic=topic_policy(admits("cloudwatch.amazonaws.com")),
            Queue=resource(
                "AWS::SQS::QueuePolicy",
                Queues=[f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/q"],
                PolicyDocument=document(admits("events.amazonaws.com")),
            ),
            Key=key(admits("cloudwatch.amazonaws.com")),
            Function=resource(
                "AWS::Lambda::Permission",
                FunctionName="f",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
            ),
        ),
    )
    assert sorted(found) == ["Bucket", "Function", "Key", "Queue", "Topic"]


def test_one_of_several_services_says_for_whom_it_comes() -> None:
    both = trust("", None)
    both["Properties"]["AssumeRolePolicyDocument"] = document(
        {
            "Effect": "Allow",
            "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
            "Action": "sts:AssumeRole",
        }
    )
    assert offenders(RULE, stack(Role=both)) == ["Role"]


def test_who_does_not_say_it_is_let_in_without() -> None:
    context = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:g"}}
    found = offenders(
        RULE,
        stack(
            Function=trust("lambda.amazonaws.com"),
            Instance=trust("ec2.amazonaws.com"),
            Topic=topic_policy(admits("events.amazonaws.com")),
            Key=key(admits("events.amazonaws.com"), admits(f"logs.{REGION}.amazonaws.com", context)),
        ),
    )
    assert found == []


def test_not_applicable() -> None:
    denied = admits("logging.s3.amazonaws.com") | {"Effect": "Deny"}
    assert offenders(RULE, stack(Bucket=resource("AWS::S3::Bucket"), Policy=bucket_policy(denied))) == []
