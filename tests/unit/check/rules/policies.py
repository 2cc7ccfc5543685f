"""Short ways to write resources with policies."""

from __future__ import annotations

from typing import Any

from tests.unit.check.rules.cases import ACCOUNT, REGION, resource

LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/t"


def document(*statements: Any) -> dict[str, Any]:
    """A policy document."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allowed(action: str | list[str], on: str | list[str], **more: Any) -> dict[str, Any]:
    """A statement of an identity policy; `more` is `Condition` and the like."""
    return {"Effect": "Allow", "Action": action, "Resource": on, **more}


def admitted(principal: Any, action: str, **more: Any) -> dict[str, Any]:
    """A statement of a resource policy on the resource itself."""
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*", **more}


def policy(*statements: Any, roles: list[Any] | None = None) -> dict[str, Any]:
    """A policy resource, of the role `r` if no other is named."""
    return resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument=document(*statements), Roles=roles or ["r"])


def managed(name: str, *statements: Any) -> dict[str, Any]:
    """A managed policy."""
    return resource("AWS::IAM::ManagedPolicy", ManagedPolicyName=name, PolicyDocument=document(*statements))


def role(name: str = "r", *statements: Any, trust: Any = LAMBDA, **properties: Any) -> dict[str, Any]:
    """A role with one inline policy of these statements, if any."""
    inline = [{"PolicyName": "inline", "PolicyDocument": document(*statements)}] if statements else []
    return resource(
        "AWS::IAM::Role",
        RoleName=name,
        AssumeRolePolicyDocument=document(trust),
        **({"Policies": inline} if inline else {}),
        **properties,
    )


def role_arn(name: str) -> str:
    """ARN of a role of the account of the cases."""
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def policy_arn(name: str) -> str:
    """ARN of a managed policy of the account of the cases."""
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def bucket_policy(*statements: Any) -> dict[str, Any]:
    """The policy of the bucket `b`."""
    return resource("AWS::S3::BucketPolicy", Bucket="b", PolicyDocument=document(*statements))


def topic_policy(*statements: Any) -> dict[str, Any]:
    """The policy of the topic `t`."""
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:t"
    return resource("AWS::SNS::TopicPolicy", Topics=[topic], PolicyDocument=document(*statements))


def key(*statements: Any) -> dict[str, Any]:
    """A key."""
    return resource("AWS::KMS::Key", KeyPolicy=document(*statements))
