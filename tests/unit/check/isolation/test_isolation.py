"""What isolation asks for and tells, on small templates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.isolation import isolation
from labcycle.check.isolation.actions import actions_on, without_resource
from labcycle.check.template import Template

ACCOUNT = "123456789012"
EVERY = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def template(team: str, resources: dict[str, Any], *, account: str = ACCOUNT, **body: Any) -> Template:
    tags = {"labcycle:team": team} if team else {}
    return Template(f"stack-{team}", json.dumps({"Resources": resources, **body}), "eu-west-1", account, tags)


def role(service: str = "lambda.amazonaws.com", **properties: Any) -> dict[str, Any]:
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": trust}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document, **properties}}


def allowed(*actions: str, resource: str = "*", **elements: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource} | elements
    return role(Policies=[{"PolicyName": "own", "PolicyDocument": {"Version": "2012-10-17", "Statement": statement}}])


BUCKET = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "blue-data"}}
KEY = {"Type": "AWS::KMS::Key", "Properties": {"Tags": [{"Key": "labcycle:team", "Value": "blue"}]}}


def breaks(red: dict[str, Any], blue: dict[str, Any], **more: Any) -> set[tuple[str, str]]:
    """Action and resource of all that red's role could do to blue's resource."""
    estate = Estate([template("red", {"Red": red}), template("blue", {"Own": role(), "Thing": blue}, **more)])
    report = isolation(estate)
    assert all((one.team, one.owner) == ("red", "blue") for one in report.breaks)
    return {(one.action, one.resource) for one in report.breaks}


def test_every_action_on_a_bucket_and_its_objects_is_asked_for() -> None:
    bucket = {action.name for action in actions_on("arn:aws:s3:::data")}
    objects = {action.name for action in actions_on("arn:aws:s3:::data/*")}
    assert {"s3:ListBucket", "s3:PutBucketPolicy", "s3:DeleteBucket"} <= bucket - objects
    assert {"s3:GetObject", "s3:GetObjectVersion", "s3:DeleteObject", "s3:PutObjectAcl"} <= objects - bucket


def test_actions_of_other_services_on_a_resource_are_asked_for() -> None:
    instance = {action.name for action in actions_on(f"arn:aws:ec2:eu-west-1:{ACCOUNT}:instance/*")}
    assert {"ec2:TerminateInstances", "ssm:StartSession", "ssm:SendCommand"} <= instance


def test_tags_count_only_where_aws_tells_them() -> None:
    told = {one.name: one.tells_tags for one in actions_on(f"arn:aws:execute-api:eu-west-1:{ACCOUNT}:abc/*")}
    assert told["execute-api:Invoke"] is False
    key = {one.name: one.tells_tags for one in actions_on(f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/1")}
    assert key["kms:Decrypt"] is True
    assert not any(one.tells_tags for arn in ("data", "data/*") for one in actions_on(f"arn:aws:s3:::{arn}"))


def test_actions_that_take_no_resource() -> None:
    assert "ec2:DescribeInstances" in without_resource("ec2")
    assert "ec2:TerminateInstances" not in without_resource("ec2")
    assert "cloudwatch:PutMetricData" in without_resource("cloudwatch")


def test_a_role_that_may_nothing_breaks_nothing() -> None:
    assert breaks(role(), BUCKET) == set()


@pytest.mark.parametrize(
    ("resource", "found"),
    [
        ("arn:aws:s3:::blue-data/x", {("s3:GetObject", "arn:aws:s3:::blue-data/*")}),
        ("arn:aws:s3:::b*", {("s3:GetObject", "arn:aws:s3:::blue-data/*")}),
        ("arn:aws:s3:::${aws:PrincipalTag/team}-data/*", {("s3:GetObject", "arn:aws:s3:::blue-data/*")}),
        ("arn:aws:s3:::blue-data", set()),
        ("arn:aws:s3:::red-data/*", set()),
    ],
)
def test_what_a_policy_reaches(resource: str, found: set[tuple[str, str]]) -> None:
    assert breaks(allowed("s3:GetObject", resource=resource), BUCKET) == found


def test_session_tags_are_the_callers_choice_and_tags_of_resources_are_not() -> None:
    own_tag = {"StringEquals": {"aws:ResourceTag/labcycle:team": "red"}}
    callers_tag = {"StringEquals": {"aws:ResourceTag/labcycle:team": "${aws:PrincipalTag/labcycle:team}"}}
    assert breaks(allowed("kms:Decrypt", Condition=own_tag), KEY) == set()
    assert {action for action, _ in breaks(allowed("kms:Decrypt", Condition=callers_tag), KEY)} == {"kms:Decrypt"}


def test_across_accounts_the_resource_must_let_in_too() -> None:
    assert breaks(allowed("s3:GetObject"), BUCKET, account="210987654321") == set()


def test_a_policy_of_aws_that_is_attached_is_not_covered() -> None:
    red = role(ManagedPolicyArns=["arn:aws:iam::aws:policy/AdministratorAccess"])
    report = isolation(Estate([template("red", {"Red": red}), template("blue", {"Own": role()})]))
    assert report.uncovered == ("stack-red/Red: the attached policy arn:aws:iam::aws:policy/AdministratorAccess",)
    assert not report.holds


def test_a_resource_of_an_unknown_type_is_not_covered() -> None:
    queue = {"Type": "AWS::Kinesis::Stream", "Properties": {}}
    report = isolation(Estate([template("red", {"Red": role()}), template("blue", {"Own": role(), "Thing": queue})]))
    assert report.uncovered == ("stack-blue/Thing: AWS::Kinesis::Stream",)
    assert "NOT COVERED stack-blue/Thing" in report.as_table()


def test_an_action_without_resource_and_without_reason_is_told() -> None:
    report = isolation(Estate([template("red", {"Red": allowed("organizations:ListAccounts")})]))
    (told,) = report.exempt
    assert (told.action, told.reason) == ("organizations:ListAccounts", "")
    assert not report.holds
    assert "NOT KNOWN TO BE HARMLESS" in report.as_table()


def test_groups_may_let_in_their_own_team() -> None:
    group = {"Type": "AWS::EC2::SecurityGroup", "Properties": {"GroupDescription": "x"}}

    def connected(peer: dict[str, Any]) -> list[tuple[str, str]]:
        rule = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": {"GroupId": {"Ref": "Group"}, **peer}}
        blue = template("blue", {"Own": role(), "Group": group, "Rule": rule}, Parameters=PEER)
        report = isolation(Estate([template("red", {"Red": role(), "Group": group}), blue]))
        return [(one.team, one.action) for one in report.breaks]

    red = Estate([template("red", {"Group": group})])
    PEER: dict[str, Any] = {"Peer": {"Type": "String", "Default": red.name(red.templates[0], "Group")}}
    assert connected({"SourceSecurityGroupId": {"Ref": "Group"}}) == []
    assert connected({"SourceSecurityGroupId": {"Ref": "Peer"}}) == [("red", "connect")]
    assert connected({"CidrIp": "10.0.0.0/8"}) == [("red", "connect")]
    assert connected({"SourcePrefixListId": "pl-1"}) == [("red", "connect")]


def network(*, policy: dict[str, Any] | None, **more: Any) -> Template:
    endpoint = {
        "ServiceName": "com.amazonaws.eu-west-1.s3",
        "VpcId": {"Ref": "Vpc"},
        **({"PolicyDocument": policy} if policy else {}),
    }
    resources = {
        "Vpc": {"Type": "AWS::EC2::VPC"},
        "Endpoint": {"Type": "AWS::EC2::VPCEndpoint", "Properties": endpoint},
        "Published": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/net/vpc", "Type": "String", "Value": "x"},
        },
    }
    return template("", resources | more)


def way_out(of_network: Template) -> tuple[bool, str]:
    parameter = {"Vpc": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/net/vpc"}}
    red = template("red", {"Machine": role("ec2.amazonaws.com")}, Parameters=parameter)
    (found,) = isolation(Estate([red, of_network])).ways_out
    return found.is_closed, found.why


def endpoint_policy(condition: dict[str, Any]) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": condition}
    return {"Version": "2012-10-17", "Statement": statement}


def test_writes_to_a_bucket_outside_are_refused_by_endpoint_policies() -> None:
    both = {"StringEquals": {"aws:PrincipalAccount": ACCOUNT, "aws:ResourceAccount": ACCOUNT}}
    assert way_out(network(policy=endpoint_policy(both)))[0]


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
        {"StringEqualsIfExists": {"aws:RequestedRegion": "eu-west-1"}},
    ],
)
def test_endpoint_policies_that_let_writes_pass(condition: dict[str, Any]) -> None:
    is_closed, why = way_out(network(policy=endpoint_policy(condition)))
    assert not is_closed
    assert "needs endpoint policies" in why


def test_a_foreigner_within_the_network_is_asked_too() -> None:
    of_own_roles = endpoint_policy({"StringNotEquals": {"aws:PrincipalAccount": ACCOUNT}})
    assert not way_out(network(policy=of_own_roles))[0]


def test_an_endpoint_without_policy_and_a_nat_gateway_let_everything_pass() -> None:
    assert not way_out(network(policy=None))[0]
    closed = endpoint_policy({"StringEquals": {"aws:ResourceAccount": ACCOUNT}})
    assert way_out(network(policy=closed))[0]
    assert "NAT gateway" in way_out(network(policy=closed, Nat={"Type": "AWS::EC2::NatGateway"}))[1]


def test_machines_in_an_unknown_network() -> None:
    red = template("red", {"Machine": role("ec2.amazonaws.com")})
    (found,) = isolation(Estate([red])).ways_out
    assert (found.is_closed, found.why) == (False, "its network is not part of what is checked")
