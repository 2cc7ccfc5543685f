from __future__ import annotations

from typing import Any

import pytest
from aws_cdk import App, Stack

from labcycle.config import Member, SignIn, Stage, names
from labcycle.foundation import TeamFoundation
from tests.synth.assembly import ACCOUNT, HERE, REGION, Template, alone, of_type, resources

SIGN_IN = SignIn(
    identity_center_permission_set="DataScience", saml_provider="okta", oidc_provider="login.example.com/t"
)


def member(name: str, kind: str, who: str) -> Member:
    return Member.model_validate({"name": name, "principal": {kind: who}, "roles": ["data_scientist"]})


MEMBERS = (
    member("ann", "iam_user", "ann.user"),
    member("bob", "identity_center", "bob@example.com"),
    member("cy", "saml_subject", "cy-subject"),
    member("dee", "oidc_subject", "dee-subject"),
)


def foundation(stage: Stage) -> Template:
    return alone(
        lambda stack: TeamFoundation(
            stack, "Team", team="fraud", owner="lead@example.com", stage=stage, members=MEMBERS, sign_in=SIGN_IN
        )
    )


@pytest.fixture(scope="session")
def production() -> Template:
    return foundation("production")


@pytest.fixture(scope="session")
def sandbox() -> Template:
    return foundation("sandbox")


def trust(template: Template, name: str) -> dict[str, Any]:
    (role,) = (r for r in of_type(template, "AWS::IAM::Role") if r["RoleName"] == names.member_role("fraud", name))
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    result: dict[str, Any] = statement
    return result


@pytest.mark.parametrize("name", [m.name for m in MEMBERS])
def test_every_role_pins_the_session_name_to_its_member(production: Template, name: str) -> None:
    assert trust(production, name)["Condition"]["StringEquals"]["sts:RoleSessionName"] == name


def test_an_iam_user_alone_takes_the_role(production: Template) -> None:
    statement = trust(production, "ann")
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann.user"}


def test_an_identity_center_user_comes_from_the_permission_set_alone(production: Template) -> None:
    statement = trust(production, "bob")
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert statement["Condition"]["StringLike"] == {"aws:userid": "*:bob@example.com"}
    roles = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com"
    # With sixteen characters open, DataScience does not let in DataScience_Admins.
    ending = f"AWSReservedSSO_DataScience_{'?' * 16}"
    assert statement["Condition"]["ArnLike"] == {"aws:PrincipalArn": [f"{roles}/{ending}", f"{roles}/*/{ending}"]}


def test_a_saml_subject_comes_from_the_named_provider(production: Template) -> None:
    statement = trust(production, "cy")
    assert statement["Action"] == "sts:AssumeRoleWithSAML"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:saml-provider/okta"}
    assert statement["Condition"]["StringEquals"]["SAML:sub"] == "cy-subject"
    assert statement["Condition"]["StringEquals"]["SAML:aud"] == "https://signin.aws.amazon.com/saml"


def test_an_oidc_subject_comes_from_the_named_issuer(production: Template) -> None:
    statement = trust(production, "dee")
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert statement["Principal"] == {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/login.example.com/t"}
    assert statement["Condition"]["StringEquals"]["login.example.com/t:sub"] == "dee-subject"
    assert statement["Condition"]["StringEquals"]["login.example.com/t:aud"] == "sts.amazonaws.com"


@pytest.mark.parametrize("kind", ["identity_center", "saml_subject", "oidc_subject"])
def test_a_member_who_cannot_sign_in_is_refused(kind: str) -> None:
    stack = Stack(App(analytics_reporting=False), "Foreign", env=HERE)
    with pytest.raises(ValueError, match=r"sign_in\.\w+: got nothing, but member eve"):
        TeamFoundation(
            stack, "Team", team="fraud", owner="a@example.com", stage="sandbox", members=[member("eve", kind, "eve-1")]
        )


def test_two_members_of_one_name_are_refused() -> None:
    stack = Stack(App(analytics_reporting=False), "Foreign", env=HERE)
    twice = [member("eve", "iam_user", "e1"), member("eve", "iam_user", "e2")]
    with pytest.raises(ValueError, match="members: got"):
        TeamFoundation(stack, "Team", team="fraud", owner="a@example.com", stage="sandbox", members=twice)


def test_what_came_to_nothing_lies_in_one_queue_with_an_alarm(production: Template) -> None:
    ((queue_id, queue),) = ((k, r) for k, r in production["Resources"].items() if r["Type"] == "AWS::SQS::Queue")
    assert queue["Properties"]["QueueName"] == names.dead_letter_queue("fraud")
    assert queue["Properties"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    (policy,) = of_type(production, "AWS::SQS::QueuePolicy")
    (rules,) = (s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Allow")
    assert (rules["Principal"], rules["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")
    source = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/labcycle-fraud-*"
    assert rules["Condition"] == {"ArnLike": {"aws:SourceArn": source}}
    (alarm,) = of_type(production, "AWS::CloudWatch::Alarm")
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": {"Fn::GetAtt": [queue_id, "QueueName"]}}]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 1)
    (topic_id,) = (k for k, r in production["Resources"].items() if r["Type"] == "AWS::SNS::Topic")
    assert alarm["AlarmActions"] == [{"Ref": topic_id}]


def test_member_roles_have_no_policy_of_their_own(production: Template) -> None:
    assert not of_type(production, "AWS::IAM::Policy")
    for role in of_type(production, "AWS::IAM::Role"):
        assert "Policies" not in role
        assert "ManagedPolicyArns" not in role


def test_the_key_rotates_and_waits_thirty_days(production: Template, sandbox: Template) -> None:
    for template, policy in ((production, "RetainExceptOnCreate"), (sandbox, "Delete")):
        (key,) = resources(template, "AWS::KMS::Key")
        assert key["DeletionPolicy"] == policy
        assert key["Properties"]["EnableKeyRotation"] is True
        assert key["Properties"]["PendingWindowInDays"] == 30


@pytest.mark.parametrize(("stage", "mode", "days"), [("production", "COMPLIANCE", 3650), ("sandbox", "GOVERNANCE", 30)])
def test_anchors_are_locked(stage: str, mode: str, days: int, production: Template, sandbox: Template) -> None:
    template = production if stage == "production" else sandbox
    (anchors,) = (b for b in of_type(template, "AWS::S3::Bucket") if "-anchors-" in b["BucketName"])
    assert anchors["ObjectLockEnabled"] is True
    assert anchors["ObjectLockConfiguration"]["Rule"]["DefaultRetention"] == {"Mode": mode, "Days": days}
    assert anchors["LoggingConfiguration"]["LogFilePrefix"] == "anchors/"


def test_the_log_bucket_can_be_delivered_to(production: Template) -> None:
    (logs,) = (b for b in of_type(production, "AWS::S3::Bucket") if "-logs-" in b["BucketName"])
    assert "ObjectLockEnabled" not in logs
    rule = logs["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    assert rule == {"SSEAlgorithm": "AES256"}
    delivery = [
        s
        for policy in of_type(production, "AWS::S3::BucketPolicy")
        for s in policy["PolicyDocument"]["Statement"]
        if s["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    ]
    assert len(delivery) == 1
    assert delivery[0]["Condition"]["StringEquals"]["aws:SourceAccount"] == ACCOUNT


def test_buckets_are_private_tls_only_and_retained(production: Template, sandbox: Template) -> None:
    for template in (production, sandbox):
        for bucket in resources(template, "AWS::S3::Bucket"):
            assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
            assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values())
        policies = of_type(template, "AWS::S3::BucketPolicy")
        assert len(policies) == 2
        for policy in policies:
            denied = [s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
            assert [s["Condition"] for s in denied] == [{"Bool": {"aws:SecureTransport": "false"}}]


def test_topic_is_encrypted_and_the_owner_subscribes(production: Template) -> None:
    (topic,) = of_type(production, "AWS::SNS::Topic")
    assert topic["TopicName"] == names.notice_topic("fraud")
    assert "Fn::GetAtt" in topic["KmsMasterKeyId"]
    (subscription,) = of_type(production, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "lead@example.com")


def test_nobody_publishes_without_tls(production: Template) -> None:
    (policy,) = of_type(production, "AWS::SNS::TopicPolicy")
    (denied,) = (s for s in policy["PolicyDocument"]["Statement"] if s["Effect"] == "Deny")
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert denied["Principal"] in ("*", {"AWS": "*"})


def test_rules_publish_without_a_source_condition(production: Template) -> None:
    """A source condition makes EventBridge drop what it publishes to SNS."""
    (policy,) = of_type(production, "AWS::SNS::TopicPolicy")
    (rules,) = (
        s for s in policy["PolicyDocument"]["Statement"] if s["Principal"] == {"Service": "events.amazonaws.com"}
    )
    assert "Condition" not in rules


def test_names_hold_account_and_region(production: Template) -> None:
    assert {b["BucketName"] for b in of_type(production, "AWS::S3::Bucket")} == {
        names.bucket("fraud", kind, ACCOUNT, REGION) for kind in ("logs", "anchors")
    }
