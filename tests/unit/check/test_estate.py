"""Values as they will be in AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.resource_policies import resource_policies
from labcycle.check.roles import roles
from labcycle.check.template import Template

ACCOUNT, REGION = "123456789012", "eu-west-1"


def template(name: str, region: str = REGION, **body: Any) -> Template:
    return Template(name, json.dumps({"Resources": {}, **body}), region, ACCOUNT)


BASE = template(
    "base",
    Parameters={
        "Stage": {"Type": "String", "Default": "test"},
        "Vpc": {"Type": "String"},
        "Many": {"Type": "CommaDelimitedList", "Default": "a,b"},
    },
    Mappings={"Sizes": {"eu-west-1": {"Memory": 512}}},
    Conditions={"IsTest": {"Fn::Equals": [{"Ref": "Stage"}, "test"]}, "IsNot": {"Fn::Not": [{"Condition": "IsTest"}]}},
    Resources={
        "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "notices"}},
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {}},
        "Api": {"Type": "AWS::ApiGatewayV2::Api"},
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "worker", "Path": "/team/"}},
    },
    Outputs={"Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}, "Export": {"Name": "base-key"}}},
)
ESTATE = Estate([BASE])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (True, "true"),
        ({"Ref": "Topic"}, f"arn:aws:sns:{REGION}:{ACCOUNT}:notices"),
        ({"Fn::GetAtt": ["Topic", "TopicName"]}, "notices"),
        ({"Fn::GetAtt": "Role.Arn"}, f"arn:aws:iam::{ACCOUNT}:role/team/worker"),
        ({"Ref": "Role"}, "worker"),
        ({"Fn::Join": ["/", ["a", {"Ref": "AWS::Region"}, {"Ref": "AWS::Partition"}]]}, f"a/{REGION}/aws"),
        (
            {"Fn::Sub": "x-${Role.Arn}-${!kept}-${AWS::StackName}"},
            f"x-arn:aws:iam::{ACCOUNT}:role/team/worker-${{kept}}-base",
        ),
        ({"Fn::Sub": ["${Own}-${Stage}", {"Own": {"Ref": "Topic"}}]}, f"arn:aws:sns:{REGION}:{ACCOUNT}:notices-test"),
        ({"Fn::Select": [1, {"Fn::Split": [":", "a:b:c"]}]}, "b"),
        ({"Fn::Select": ["1", {"Ref": "Many"}]}, "b"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "Memory"]}, "512"),
        ({"Fn::If": ["IsTest", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsNot", "yes", "no"]}, "no"),
        ({"Fn::Base64": {"Fn::Sub": "boot ${Stage}"}}, "boot test"),
        ({"Ref": "Vpc"}, "unknown-base-Vpc"),
    ],
)
def test_intrinsic_functions(value: object, text: str) -> None:
    assert ESTATE.text(BASE, value) == text


@pytest.mark.parametrize("value", [{"Fn::GetAtt": 3}, {"Fn::Join": "x"}, {"Fn::Select": [9, ["a"]]}, {"Fn::New": 1}])
def test_what_cannot_be_resolved_is_said_to_be_unknown(value: object) -> None:
    assert ESTATE.text(BASE, value).startswith("unknown-base-")


def test_what_aws_names_is_made_up_always_alike_and_looks_real() -> None:
    again = Estate([BASE])
    assert ESTATE.arn(BASE, "Key") == again.arn(BASE, "Key")
    assert len(ESTATE.text(BASE, {"Ref": "Api"})) == 10
    assert ESTATE.name(BASE, "Queue").startswith("base-Queue-")
    elsewhere = template("base", "eu-central-1", Resources=BASE.body["Resources"])
    assert Estate([elsewhere]).name(elsewhere, "Key") != ESTATE.name(BASE, "Key")


def test_no_value_leaves_lists_and_objects() -> None:
    value = {"a": {"Fn::If": ["IsNot", 1, {"Ref": "AWS::NoValue"}]}, "b": [{"Ref": "AWS::NoValue"}, 2]}
    assert ESTATE.value(BASE, value) == {"b": [2]}


def test_an_import_is_what_the_other_stack_exports_in_the_same_region() -> None:
    user = template("user")
    stranger = template("stranger", "us-east-2")
    estate = Estate([BASE, user, stranger])
    assert estate.text(user, {"Fn::ImportValue": "base-key"}) == estate.arn(BASE, "Key")
    assert estate.text(stranger, {"Fn::ImportValue": "base-key"}).startswith("unknown-")


def test_a_resource_is_found_by_its_arn_and_a_queue_by_its_address_too() -> None:
    assert ESTATE.find(f"arn:aws:sns:{REGION}:{ACCOUNT}:notices") == (BASE, "Topic")
    assert ESTATE.find(ESTATE.text(BASE, {"Ref": "Queue"})) == (BASE, "Queue")
    assert ESTATE.find("arn:aws:sns:eu-west-1:123456789012:other") is None


def test_a_role_has_the_policies_of_all_stacks_and_its_boundary() -> None:
    def document(action: str) -> dict[str, Any]:
        return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}

    base = template(
        "base",
        Resources={
            "Boundary": {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {"ManagedPolicyName": "most", "PolicyDocument": document("most")},
            },
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "RoleName": "worker",
                    "PermissionsBoundary": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:policy/most"},
                    "ManagedPolicyArns": ["arn:aws:iam::aws:policy/ReadOnlyAccess"],
                    "Policies": [{"PolicyName": "x", "PolicyDocument": document("inline")}],
                },
            },
        },
    )
    other = template(
        "other",
        Resources={
            "More": {
                "Type": "AWS::IAM::Policy",
                "Properties": {"Roles": ["worker"], "PolicyDocument": document("more")},
            }
        },
    )
    (role,) = roles(Estate([base, other]))
    assert [policy.document["Statement"][0]["Action"] for policy in role.policies] == ["inline", "more"]
    assert role.boundary and role.boundary.document["Statement"][0]["Action"] == "most"
    assert role.foreign_policies == ("arn:aws:iam::aws:policy/ReadOnlyAccess",)


def test_policies_of_resources_are_found_by_the_resource() -> None:
    statement = [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}]
    base = template(
        "base",
        Resources={
            **BASE.body["Resources"],
            "Function": {"Type": "AWS::Lambda::Function", "Properties": {"FunctionName": "f"}},
            "Policy": {
                "Type": "AWS::SQS::QueuePolicy",
                "Properties": {"Queues": [{"Ref": "Queue"}], "PolicyDocument": {"Statement": statement}},
            },
            "Permission": {
                "Type": "AWS::Lambda::Permission",
                "Properties": {
                    "FunctionName": {"Ref": "Function"},
                    "Principal": "events.amazonaws.com",
                    "Action": "lambda:InvokeFunction",
                    "SourceAccount": ACCOUNT,
                },
            },
        },
    )
    estate = Estate([base])
    found = resource_policies(estate)
    assert found[estate.arn(base, "Queue")][0].document["Statement"] == statement
    (permission,) = found[estate.arn(base, "Function")]
    assert permission.document["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}
    assert permission.document["Statement"][0]["Condition"] == {"StringEquals": {"AWS:SourceAccount": ACCOUNT}}
