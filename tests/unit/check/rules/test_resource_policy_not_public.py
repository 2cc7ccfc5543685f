from __future__ import annotations

from typing import Any

import pytest

from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack
from tests.unit.check.rules.policies import admitted, bucket_policy, document, key, topic_policy

RULE = "resource-policy-not-public"
OF_US = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}}


def permission(**more: str) -> dict[str, Any]:
    return resource(
        "AWS::Lambda::Permission", FunctionName="f", Action="lambda:InvokeFunctionUrl", Principal="*", **more
    )


@pytest.mark.parametrize(
    "condition",
    [
        OF_US,
        {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        {"ArnLike": {"AWS:SourceArn": f"arn:aws:s3:::{ACCOUNT}-*"}},
        {"StringEquals": {"aws:SourceVpce": "vpce-1"}},
        {"StringEquals": {"kms:CallerAccount": ACCOUNT}},
    ],
)
def test_compliant(condition: Any) -> None:
    assert offenders(RULE, stack(Policy=topic_policy(admitted("*", "sns:Publish", Condition=condition)))) == []


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}, {"AWS": ["*"]}])
@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"StringLike": {"aws:PrincipalOrgID": "*"}},
        {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}},
        {"StringNotEquals": {"aws:PrincipalAccount": "1"}},
        {"StringEqualsIfExists": {"aws:PrincipalAccount": ACCOUNT}},
        {"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-1/r-1/ou-1"}},  # which holds without any value too
    ],
)
def test_non_compliant(principal: Any, condition: Any) -> None:
    statement = admitted(principal, "s3:GetObject", Condition=condition)
    assert offenders(RULE, stack(Policy=bucket_policy(statement))) == ["Policy"]


def test_every_kind_of_resource() -> None:
    everybody = admitted("*", "x:Y")
    found = offenders(
        RULE,
        stack(
            Topic=topic_policy(everybody),
            Queue=resource(
                "AWS::SQS::QueuePolicy",
                Queues=[f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/q"],
                PolicyDocument=document(everybody),
            ),
            Key=key(everybody),
            Secret=resource("AWS::SecretsManager::ResourcePolicy", SecretId="s", ResourcePolicy=document(everybody)),
            Repository=resource("AWS::ECR::Repository", RepositoryName="r", RepositoryPolicyText=document(everybody)),
            Bus=resource("AWS::Events::EventBusPolicy", StatementId="s", Statement=everybody),
            Function=permission(),
            FunctionUrl=permission(FunctionUrlAuthType="NONE"),
            Url=resource("AWS::Lambda::Url", AuthType="NONE", TargetFunctionArn="f"),
            ButSome=bucket_policy(
                {"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "s3:*", "Resource": "*"}
            ),
        ),
    )
    assert sorted(found) == [
        *("Bus", "ButSome", "Function", "FunctionUrl", "Key"),
        *("Queue", "Repository", "Secret", "Topic", "Url"),
    ]


def test_a_permission_of_an_organisation() -> None:
    url = resource("AWS::Lambda::Url", AuthType="AWS_IAM", TargetFunctionArn="f")
    assert offenders(RULE, stack(Function=permission(PrincipalOrgID="o-1"), Url=url)) == []


def test_a_denial_of_all_but_an_endpoint_narrows_too() -> None:
    everybody = admitted("*", "execute-api:Invoke")
    denial = everybody | {"Effect": "Deny", "Condition": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}}
    api = resource("AWS::ApiGateway::RestApi", Name="a", Policy=document(everybody, denial))
    assert offenders(RULE, stack(Api=api)) == []
    of_others = denial | {"Action": "execute-api:ManageConnections"}
    assert offenders(
        RULE, stack(Api=resource("AWS::ApiGateway::RestApi", Name="a", Policy=document(everybody, of_others)))
    ) == ["Api"]


def test_not_applicable() -> None:
    denied = admitted("*", "s3:GetObject") | {"Effect": "Deny"}
    assert offenders(RULE, stack(Policy=bucket_policy(denied), Bucket=resource("AWS::S3::Bucket"))) == []
