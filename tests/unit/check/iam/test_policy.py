"""Policy documents are read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check.iam import PolicyError, identity_policy, resource_policy

ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}


def document(**elements: Any) -> dict[str, Any]:
    statement = {key: value for key, value in (ALLOW | elements).items() if value is not None}
    return {"Version": "2012-10-17", "Statement": statement}


def test_a_statement_is_told_by_its_policy_and_sid() -> None:
    policy = identity_policy({"Version": "2012-10-17", "Statement": [ALLOW, ALLOW | {"Sid": "Read"}]}, "reader")
    assert [str(statement) for statement in policy.statements] == ["reader, statement 0", "reader, statement Read"]


def test_one_value_or_several() -> None:
    policy = identity_policy(document(Action=["s3:GetObject", "S3:PutObject"]), "p")
    assert policy.statements[0].actions == ("s3:getobject", "s3:putobject")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "with a Statement"),
        ({"Version": "2012-10-17", "Statment": []}, "with a Statement"),
        ({"Version": "2012-10-17", "Statement": [], "Owner": "x"}, "got the element Owner"),
        ({"Version": "2020-01-01", "Statement": []}, "got the Version '2020-01-01'"),
        ({"Version": "2012-10-17", "Statement": ["x"]}, "allowed an object"),
        (document(Conditions={}), "got the element Conditions"),
        (document(Effect="allow"), "allowed Allow, Deny"),
        (document(Action=None), "neither of Action and NotAction"),
        (document(NotAction="s3:*"), "both of Action and NotAction"),
        (document(Action="GetObject"), "allowed service:Action"),
        (document(Action=[]), "allowed one text or several"),
        (document(Resource=None), "neither of Resource and NotResource"),
        (document(Resource="fraud-data"), "allowed an ARN of six parts"),
        (document(Resource="arn:aws:s3:fraud"), "allowed an ARN of six parts"),
        (document(Resource="arn:aws:s3:::${aws:nobody}"), "got the variable ${aws:nobody}"),
        (document(Resource={"Fn::GetAtt": ["Bucket", "Arn"]}), "allowed one text or several"),
        (document(Principal="*"), "allowed none in an identity policy"),
        (document(Condition={"StringIs": {"aws:username": "x"}}), "got the operator StringIs"),
    ],
)
def test_what_is_unknown_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        identity_policy(given, "reader")
    assert said in str(refused.value)
    assert str(refused.value).startswith("reader"), "it says which policy"


@pytest.mark.parametrize(
    ("principal", "said"),
    [
        (None, "neither of Principal and NotPrincipal"),
        ("arn:aws:iam::111122223333:role/x", "allowed '*', or entries by"),
        ({"Aws": "*"}, "got the kind of principal Aws"),
        ({"AWS": "arn:aws:iam::111122223333:role/*"}, "without wildcards"),
        ({"AWS": "worker"}, "without wildcards"),
        ({"AWS": {"Ref": "Role"}}, "allowed a text"),
        ({"Service": "*"}, "allowed no wildcard"),
    ],
)
def test_principals_that_are_refused(principal: Any, said: str) -> None:
    with pytest.raises(PolicyError) as refused:
        resource_policy(document(Principal=principal), "bucket")
    assert said in str(refused.value)


def test_only_a_trust_policy_needs_no_resource() -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    resource_policy({"Version": "2012-10-17", "Statement": trust}, "trust")
    with pytest.raises(PolicyError, match="neither of Resource"):
        resource_policy({"Version": "2012-10-17", "Statement": trust | {"Action": "sqs:SendMessage"}}, "queue")


def test_claims_of_the_provider_that_a_statement_trusts_are_keys() -> None:
    provider = "arn:aws:iam::111122223333:oidc-provider/login.example.com"
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": provider},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"login.example.com:sub": "anna"}},
    }
    resource_policy({"Version": "2012-10-17", "Statement": trust}, "trust")
    other = trust | {"Condition": {"StringEquals": {"login.example.org:sub": "anna"}}}
    with pytest.raises(PolicyError, match="got the key"):
        resource_policy({"Version": "2012-10-17", "Statement": other}, "trust")
