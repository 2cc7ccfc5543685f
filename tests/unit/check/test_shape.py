"""Templates are of one shape where names alone differ, and of two where anything else does."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from labcycle.check.shape import distinct, repeated
from labcycle.check.template import Template


def template(
    team: str, member: str, *, stage: str = "production", region: str = "eu-west-1", **changes: Any
) -> Template:
    role = f"Member{member.title().replace('-', '')}"
    resources: dict[str, Any] = {
        role: {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": f"labcycle-{team}-{member}",
                "Description": f"The member {member} of the team {team}",
                "Tags": [{"Key": "labcycle:stage", "Value": stage}],
            },
            "Metadata": {"aws:cdk:path": f"labcycle-{team}/foundation/{member}"},
        },
        "Topic": {
            "Type": "AWS::SNS::Topic",
            "Properties": {"TopicName": f"labcycle-{team}-notices", "Owner": {"Fn::GetAtt": [role, "Arn"]}},
        },
        "Subscription": {"Type": "AWS::SNS::Subscription", "Properties": {"Endpoint": f"{team}@example.com"}},
        "Policy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {
                "Roles": [f"labcycle-{team}-{member}"],
                "PolicyDocument": {
                    "Statement": [{"Sid": f"Allow{team}", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}]
                },
            },
        },
    }
    tags = {"labcycle:team": team, "labcycle:stage": stage, "labcycle:cost-centre": f"cc-{team}"}
    return Template(
        f"labcycle-{team}-foundation", json.dumps({"Resources": resources | changes}), region, "1" * 12, tags
    )


ONE, OTHER = template("fraud", "ann"), template("pricing", "bob-the-second")


def test_names_alone_make_no_other_shape() -> None:
    different, same = distinct([ONE, OTHER])
    assert different == [ONE]
    assert same == [(OTHER, ONE)]


def changed(path: str, value: object) -> Template:
    body = copy.deepcopy(OTHER.body)
    place = body["Resources"]
    *parts, last = path.split(".")
    for part in parts:
        place = place[int(part)] if isinstance(place, list) else place[part]
    place[last] = value
    return Template(OTHER.name, json.dumps(body), OTHER.region, OTHER.account, OTHER.tags)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Topic.Properties.DisplayName", "x"),
        ("Topic.Type", "AWS::SNS::Topc"),
        ("Topic.DeletionPolicy", "Retain"),
        ("Policy.Properties.PolicyDocument.Statement.0.Effect", "Deny"),
        ("Policy.Properties.PolicyDocument.Statement.0.Condition", {"Bool": {"aws:SourceAccount": "true"}}),
        ("Topic.Metadata", {"labcycle:acknowledge": [{"id": "X", "reason": "for a reason"}]}),
    ],
)
def test_anything_else_does(path: str, value: object) -> None:
    assert distinct([ONE, changed(path, value)])[1] == []


def test_stage_and_region_are_no_names() -> None:
    assert distinct([ONE, template("pricing", "bob", stage="sandbox")])[1] == []
    assert distinct([ONE, template("pricing", "bob", region="eu-central-1")])[1] == []


def test_a_team_named_like_a_stage_is_not_taken_for_another_with_that_stage() -> None:
    assert distinct([template("sandbox", "ann", stage="sandbox"), template("production", "ann")])[1] == []


def test_what_was_found_on_one_is_told_for_all_of_its_shape() -> None:
    ids, others = list(ONE.body["Resources"]), list(OTHER.body["Resources"])
    found = ONE.finding(ids[0], "rule", "checker", "error", "told")
    first, again = repeated([found], [(OTHER, ONE)])
    assert first == found
    assert (again.template, again.logical_id) == (OTHER.name, others[0])
    assert again.construct_path == "labcycle-pricing/foundation/bob-the-second"
