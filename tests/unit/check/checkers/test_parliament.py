"""parliament on policies of every kind."""

from __future__ import annotations

from typing import Any

import pytest

from labcycle.check.checkers import Parliament
from labcycle.check.checkers.iam_definition import Renewal
from labcycle.check.template import Template

from .given import findings, template

CHECKER = Parliament()
BUCKET = {"Type": "AWS::S3::Bucket"}
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}
            ],
        }
    },
}
OBJECTS = {"Fn::Join": ["", [{"Fn::GetAtt": ["Bucket", "Arn"]}, "/*"]]}


def statement(actions: Any, resources: Any, **others: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **others}


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def policy(*statements: dict[str, Any]) -> Template:
    properties = {"PolicyName": "p", "PolicyDocument": document(*statements), "Roles": [{"Ref": "Role"}]}
    return template({"Bucket": BUCKET, "Role": ROLE, "Policy": {"Type": "AWS::IAM::Policy", "Properties": properties}})


def told(*given: Template) -> set[tuple[str, str, str]]:
    return {(one.logical_id, one.rule, one.property_path) for one in findings(CHECKER, *given)}


def test_a_good_policy_has_no_findings() -> None:
    good = [
        statement("s3:GetObject", OBJECTS),
        statement("s3:ListBucket", {"Fn::GetAtt": ["Bucket", "Arn"]}, Condition={"StringLike": {"s3:prefix": ["a/*"]}}),
        statement(["xray:PutTraceSegments"], "*"),
    ]
    assert told(policy(*good)) == set()


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (statement("s3:GetObjekt", OBJECTS), "UNKNOWN_ACTION"),
        (statement("s33:GetObject", OBJECTS), "UNKNOWN_PREFIX"),
        (statement("s3:GetObject", {"Fn::GetAtt": ["Bucket", "Arn"]}), "RESOURCE_MISMATCH"),
        (statement("s3:ListBucket", OBJECTS), "RESOURCE_MISMATCH"),
        (statement("xray:PutTraceSegments", OBJECTS), "RESOURCE_MISMATCH"),
        (statement("s3:GetObject", "*"), "RESOURCE_STAR"),
        (statement("s3:GetObject", "my-bucket/*"), "INVALID_ARN"),
        (statement("s3:GetObject", OBJECTS, Condition={"StringEqual": {"aws:username": "x"}}), "UNKNOWN_OPERATOR"),
        (
            statement("s3:GetObject", OBJECTS, Condition={"StringEquals": {"s3:prefix": "x"}}),
            "UNKNOWN_CONDITION_FOR_ACTION",
        ),
        (
            statement("s3:GetObject", OBJECTS, Condition={"DateLessThan": {"aws:CurrentTime": "soon"}}),
            "MISMATCHED_TYPE",
        ),
        (statement("s3:GetObject", OBJECTS, Resurce="x"), "MALFORMED"),
        (statement("s3:GetObject", OBJECTS, Sid="not-allowed"), "INVALID_SID"),
    ],
)
def test_a_fault_is_found_at_its_statement(given: dict[str, Any], rule: str) -> None:
    assert told(policy(given)) == {("Policy", rule, "Properties.PolicyDocument.Statement.0")}


def test_a_fault_of_the_whole_policy_is_found() -> None:
    twice = [statement("s3:GetObject", OBJECTS, Sid="A"), statement("s3:PutObject", OBJECTS, Sid="A")]
    assert told(policy(*twice)) == {("Policy", "DUPLICATE_SID", "Properties.PolicyDocument")}


def test_what_is_no_policy_is_a_finding_not_a_pass() -> None:
    assert told(policy(statement("s3:GetObject", OBJECTS, Condition=["x"]))) == {
        ("Policy", "EXCEPTION", "Properties.PolicyDocument")
    }


BAD = statement("s3:GetObjekt", "arn:aws:s3:::b/*")
BAD_FOR_ALL = {**BAD, "Principal": "*"}


@pytest.mark.parametrize(
    ("kind", "properties", "path"),
    [
        ("AWS::IAM::ManagedPolicy", {"PolicyDocument": document(BAD)}, "PolicyDocument.Statement.0"),
        (
            "AWS::IAM::Role",
            {"Policies": [{"PolicyName": "p", "PolicyDocument": document(BAD)}]},
            "Policies.0.PolicyDocument.Statement.0",
        ),
        ("AWS::SSO::PermissionSet", {"InlinePolicy": document(BAD)}, "InlinePolicy.Statement.0"),
        (
            "AWS::S3::BucketPolicy",
            {"Bucket": "b", "PolicyDocument": document(BAD_FOR_ALL)},
            "PolicyDocument.Statement.0",
        ),
        (
            "AWS::SNS::TopicPolicy",
            {"Topics": ["t"], "PolicyDocument": document(BAD_FOR_ALL)},
            "PolicyDocument.Statement.0",
        ),
        (
            "AWS::SQS::QueuePolicy",
            {"Queues": ["q"], "PolicyDocument": document(BAD_FOR_ALL)},
            "PolicyDocument.Statement.0",
        ),
        (
            "AWS::KMS::Key",
            {"KeyPolicy": document({**BAD_FOR_ALL, "Action": "kms:Decryptt", "Resource": "*"})},
            "KeyPolicy.Statement.0",
        ),
        (
            "AWS::ApiGateway::RestApi",
            {"Policy": document({**BAD_FOR_ALL, "Action": "execute-api:Invok"})},
            "Policy.Statement.0",
        ),
        (
            "AWS::Events::EventBusPolicy",
            {"StatementId": "s", "Statement": {**BAD_FOR_ALL, "Action": "events:PutEvent"}},
            "Statement.0",
        ),
        (
            "AWS::Logs::ResourcePolicy",
            {
                "PolicyName": "p",
                "PolicyDocument": '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
                '"Action": "logs:PutLogEvent", "Resource": "*"}]}',
            },
            "PolicyDocument.Statement.0",
        ),
    ],
)
def test_policies_are_found_wherever_they_stand(kind: str, properties: dict[str, Any], path: str) -> None:
    given = template({"It": {"Type": kind, "Properties": properties}})
    assert told(given) == {("It", "UNKNOWN_ACTION", f"Properties.{path}")}


def trust(**changes: Any) -> Template:
    given = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}, **changes}
    return template({"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document(given)}}})


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": "arn:aws:sts::123456789012:assumed-role/reader/someone"},
        {"AWS": {"Fn::ImportValue": "of-another-app"}},
        {"AWS": "123456789012"},
        {"Federated": "arn:aws:iam::123456789012:oidc-provider/token.example.com"},
        {"Federated": "arn:aws:iam::123456789012:saml-provider/idp"},
    ],
)
def test_principals_that_aws_knows_are_no_fault(principal: dict[str, Any]) -> None:
    assert told(trust(Principal=principal)) == set()


def test_claims_are_known_of_an_issuer_that_is_trusted_and_of_no_other() -> None:
    def trusting(claim: str) -> set[tuple[str, str, str]]:
        provider = {"Federated": "arn:aws:iam::123456789012:oidc-provider/login.example.com/tenant"}
        condition = {"StringEquals": {claim: "somebody"}}
        return told(trust(Action="sts:AssumeRoleWithWebIdentity", Principal=provider, Condition=condition))

    where = "Properties.AssumeRolePolicyDocument.Statement.0"
    unknown = {("Role", "UNKNOWN_CONDITION_FOR_ACTION", where)}
    assert trusting("login.example.com/tenant:sub") == trusting("login.example.com/tenant:aud") == set()
    assert trusting("login.example.com:sub") == trusting("login.example.com/tenant:subject") == unknown


def test_a_trust_policy_is_checked() -> None:
    where = "Properties.AssumeRolePolicyDocument.Statement.0"
    assert told(trust(Principal={"AWS": "somebody"})) == {("Role", "UNKNOWN_PRINCIPAL", where)}
    assert told(trust(Principal={"Federated": "example.com"})) == {("Role", "UNKNOWN_FEDERATION_SOURCE", where)}
    assert told(trust(Action="s3:GetObject")) == {("Role", "RESOURCE_MISMATCH", where)}


def key(*statements: dict[str, Any]) -> Template:
    everybody = [{**one, "Resource": "*", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}} for one in statements]
    return template({"Key": {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": document(*everybody)}}})


def test_a_key_policy_is_about_its_key() -> None:
    assert told(key(statement("kms:*", "*"), statement(["kms:CreateAlias", "kms:Decrypt"], "*"))) == set()
    assert told(key(statement(["kms:ListKeys"], "*"))) == {
        ("Key", "RESOURCE_MISMATCH", "Properties.KeyPolicy.Statement.0")
    }


def test_the_encryption_context_of_logs_is_compared_as_an_arn() -> None:
    condition = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": "arn:aws:logs:eu-west-1:123456789012:log-group:*"}}
    assert told(key(statement("kms:Decrypt", "*", Condition=condition))) == set()
    assert {rule for _, rule, _ in told(key(statement("kms:DescribeKey", "*", Condition=condition)))} == {
        "UNKNOWN_CONDITION_FOR_ACTION"
    }


def run_instances(*kinds: str) -> list[str]:
    return [f"arn:aws:ec2:eu-west-1:{'' if kind == 'image' else '123456789012'}:{kind}/*" for kind in kinds]


def test_resources_of_an_action_may_be_granted_in_several_statements() -> None:
    split = [
        statement("ec2:RunInstances", "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-1"),
        statement("ec2:RunInstances", run_instances("instance")),
        statement(
            "ec2:RunInstances", run_instances("image", "network-interface", "security-group", "subnet", "volume")
        ),
    ]
    assert told(policy(*split)) == set()
    without_subnet = statement(
        "ec2:RunInstances", run_instances("image", "network-interface", "security-group", "volume")
    )
    assert {rule for _, rule, _ in told(policy(*split[:2], without_subnet))} == {"RESOURCE_MISMATCH"}
    assert "subnet/*" in findings(CHECKER, policy(*split[:2], without_subnet))[0].message


def test_an_execution_is_a_standard_or_an_express_one() -> None:
    standard = "arn:aws:states:eu-west-1:123456789012:execution:m:*"
    assert told(policy(statement("states:DescribeExecution", standard))) == set()
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:m"
    assert {rule for _, rule, _ in told(policy(statement("states:DescribeExecution", machine)))} == {
        "RESOURCE_MISMATCH"
    }


def test_aws_own_parameters_have_no_account() -> None:
    assert told(policy(statement("ssm:GetParameters", "arn:aws:ssm:eu-west-1::parameter/aws/service/*"))) == set()
    assert told(policy(statement("ssm:GetParameters", "arn:aws:ssm:eu-west-1::parameter/ours"))) != set()


def test_what_another_stack_exports_is_resolved() -> None:
    exporting = template(
        {"Bucket": BUCKET},
        "storage",
        Outputs={"O": {"Value": {"Fn::GetAtt": ["Bucket", "Arn"]}, "Export": {"Name": "storage:bucket"}}},
    )
    imported = policy(statement("s3:GetObject", {"Fn::ImportValue": "storage:bucket"}))
    assert told(imported, exporting) == {("Policy", "RESOURCE_MISMATCH", "Properties.PolicyDocument.Statement.0")}
    assert told(imported) == set()  # alone, nobody knows what it is


def test_a_resource_that_nobody_knows_hides_no_star() -> None:
    known = statement("s3:GetObject", [{"Fn::ImportValue": "elsewhere"}, "*"])
    assert {rule for _, rule, _ in told(policy(known))} == {"RESOURCE_STAR"}


@pytest.mark.parametrize(
    "condition",
    [
        {"Bool": {"aws:ViaAWSService": ["false"]}},
        {"NumericLessThan": {"s3:TlsVersion": 1.2}},
        {"StringEquals": {"s3:ExistingObjectTag/team": {"Ref": "AWS::StackName"}}},
        {"Null": {"aws:SourceVpce": False}},
    ],
)
def test_conditions_that_aws_knows_are_no_fault(condition: dict[str, Any]) -> None:
    assert told(policy(statement("s3:GetObject", OBJECTS, Condition=condition))) == set()


def test_actions_services_and_condition_keys_of_today_are_known() -> None:
    bucket = {"Fn::GetAtt": ["Bucket", "Arn"]}
    tagged = {"StringEquals": {"s3:BucketTag/team": "fraud"}}
    today = [
        statement("s3:GetBucketAbac", bucket),
        statement("arc-region-switch:ListPlans", "*"),
        statement("s3:GetObject", OBJECTS, Condition=tagged),
    ]
    assert told(policy(*today)) == set()
    assert {rule for _, rule, _ in told(policy(statement("s3:GetBucketAbac", OBJECTS)))} == {"RESOURCE_MISMATCH"}


class OldLibrary:
    """Knows one action of a service, with a resource type that has changed since, and an action that is the same."""

    class expand_action:
        @staticmethod
        def cache_clear() -> None: ...

    def __init__(self) -> None:
        self.iam_definition: list[dict[str, Any]] = [
            {
                "prefix": "s3",
                "conditions": [],
                "resources": [{"resource": "bucket", "arn": "arn:${Partition}:s3:::${BucketName}"}],
                "privileges": [
                    {"privilege": "ListBucket", "resource_types": [{"resource_type": "bucket*", "condition_keys": []}]},
                    {"privilege": "GetObject", "resource_types": [{"resource_type": "thing*", "condition_keys": []}]},
                ],
            }
        ]


def test_the_newer_list_adds_actions_resources_and_condition_keys_and_wins_where_they_differ() -> None:
    library = OldLibrary()
    Renewal(library).renew({"s3", "no-such-service"})
    (service,) = library.iam_definition
    actions = {one["privilege"]: one["resource_types"] for one in service["privileges"]}
    assert "PutObject" in actions
    assert actions["ListBucket"][0]["resource_type"] == "bucket*"
    assert "s3:prefix" in actions["ListBucket"][0]["condition_keys"]
    assert "thing" not in {one["resource_type"].removesuffix("*") for one in actions["GetObject"]}
    assert "object" in {one["resource"] for one in service["resources"]}
    assert {"s3:TlsVersion": "Numeric"}.items() <= {
        one["condition"]: one["type"] for one in service["conditions"]
    }.items()
