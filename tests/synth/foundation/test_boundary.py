from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import botocore.session
import pytest

from labcycle.config import names
from labcycle.foundation import PermissionsBoundary
from labcycle.foundation.boundary import SIZE_LIMIT, boundary_document, size
from tests.synth.assembly import ACCOUNT, REGION, alone, as_list, of_type


@pytest.fixture(scope="session")
def policy() -> dict[str, Any]:
    template = alone(lambda stack: PermissionsBoundary(stack, "Boundary", team="fraud"))
    (found,) = of_type(template, "AWS::IAM::ManagedPolicy")
    assert found["ManagedPolicyName"] == names.boundary("fraud")
    assert [r["Type"] for r in template["Resources"].values()] == ["AWS::IAM::ManagedPolicy"]
    return dict(found)


def decision(policy: dict[str, Any], action: str, resource: str, **tags: str) -> str:
    """`allow`, `deny` or `none` for a request; of conditions it knows those on the team's tag and on passed services."""
    context = {f"aws:ResourceTag/labcycle:{key}": value for key, value in tags.items()}
    verdict = "none"
    for statement in policy["PolicyDocument"]["Statement"]:
        if not any(fnmatchcase(action, pattern) for pattern in as_list(statement["Action"])):
            continue
        if not any(fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"])):
            continue
        holds = True
        for operator, keys in statement.get("Condition", {}).items():
            for key, value in keys.items():
                if key == "iam:PassedToService":
                    continue
                have = context.get(key)
                holds &= {
                    "StringEquals": have == value,
                    "StringNotEquals": have != value,
                    "Null": (have is None) == (value == "true"),
                }[operator]
        if holds and statement["Effect"] == "Deny":
            return "deny"
        if holds:
            verdict = "allow"
    return verdict


def arn(service: str, resource: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def test_it_fits(policy: dict[str, Any]) -> None:
    assert size(policy["PolicyDocument"]) <= SIZE_LIMIT


def test_it_fits_with_the_longest_names() -> None:
    assert size(boundary_document("a" * 30, "aws-us-gov", "ap-southeast-1", ACCOUNT)) <= SIZE_LIMIT


def test_size_counts_no_white_space() -> None:
    assert size({"a b": [1, 2]}) == len('{"ab":[1,2]}')


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("dynamodb:PutItem", arn("dynamodb", "table/labcycle-fraud-ledger")),
        ("s3:GetObjectVersion", f"arn:aws:s3:::labcycle-fraud-artifacts-{ACCOUNT}-{REGION}/experiments/1/model.onnx"),
        ("lambda:InvokeFunction", arn("lambda", "function:labcycle-fraud-model-card-Server-1")),
        ("sns:Publish", arn("sns", "labcycle-fraud-notices")),
        ("events:PutEvents", arn("events", "event-bus/labcycle-fraud")),
        ("execute-api:Invoke", arn("execute-api", "a1b2c3/$default/POST/invocations")),
        ("ssm:GetParameter", arn("ssm", "parameter/labcycle/team/fraud/tracking-url")),
        ("ssm:GetParameters", f"arn:aws:ssm:{REGION}::parameter/aws/service/deeplearning/ami/x86_64/x"),
        ("sagemaker:CreateTrainingJob", arn("sagemaker", "training-job/x")),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/labcycle/fraud/labcycle-fraud-ann-workspace"),
        ("ec2:RunInstances", arn("ec2", "instance/*")),
    ],
)
def test_the_platforms_roles_can_work(policy: dict[str, Any], action: str, resource: str) -> None:
    assert decision(policy, action, resource) == "allow"


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("dynamodb:GetItem", arn("dynamodb", "table/labcycle-other-ledger")),
        ("s3:GetObject", f"arn:aws:s3:::labcycle-other-artifacts-{ACCOUNT}-{REGION}/x"),
        ("s3:GetObject", f"arn:aws:s3:::labcycle-fraud-eu-artifacts-{ACCOUNT}-{REGION}/x"),
        ("s3:DeleteBucket", f"arn:aws:s3:::labcycle-fraud-artifacts-{ACCOUNT}-{REGION}"),
        ("s3:PutObject", f"arn:aws:s3:::labcycle-fraud-logs-{ACCOUNT}-{REGION}/x"),
        ("lambda:InvokeFunction", arn("lambda", "function:labcycle-other-tracking")),
        ("lambda:UpdateFunctionCode", arn("lambda", "function:labcycle-fraud-tracking")),
        ("sns:Publish", arn("sns", "labcycle-other-notices")),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/labcycle/other/labcycle-other-ann-workspace"),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/labcycle-fraud-ann"),
        ("kms:ScheduleKeyDeletion", arn("kms", "key/1")),
        ("kms:Decrypt", arn("kms", "key/1")),
        ("cloudformation:DeleteStack", arn("cloudformation", "stack/labcycle-fraud-tracking/*")),
    ],
)
def test_what_is_not_the_teams_is_out_of_reach(policy: dict[str, Any], action: str, resource: str) -> None:
    assert decision(policy, action, resource) == "none"


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"])
def test_the_key_is_known_by_its_tag(policy: dict[str, Any], action: str) -> None:
    assert decision(policy, action, arn("kms", "key/1"), team="fraud") == "allow"
    assert decision(policy, action, arn("kms", "key/1"), team="other") == "deny"
    assert decision(policy, action, arn("kms", "key/1")) == "none"


@pytest.mark.parametrize(
    "action", ["ec2:TerminateInstances", "ssm:StartSession", "states:StartExecution", "dynamodb:GetItem"]
)
def test_what_carries_another_teams_tag_is_denied(policy: dict[str, Any], action: str) -> None:
    assert decision(policy, action, "anything", team="other") == "deny"


@pytest.mark.parametrize(
    "action",
    [
        "iam:DeleteRolePermissionsBoundary",
        "iam:PutRolePermissionsBoundary",
        "iam:CreatePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:DeletePolicy",
        "iam:AttachRolePolicy",
        "iam:PutRolePolicy",
        "iam:CreateRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:CreateAccessKey",
        "iam:CreateUser",
        "iam:AddUserToGroup",
        "iam:TagRole",
        "organizations:LeaveOrganization",
    ],
)
def test_identities_and_the_boundary_itself_cannot_be_changed(policy: dict[str, Any], action: str) -> None:
    assert decision(policy, action, f"arn:aws:iam::{ACCOUNT}:role/labcycle-fraud-ann") == "deny"


def test_every_iam_action_that_changes_something_is_denied(policy: dict[str, Any]) -> None:
    """Against the list of IAM's actions that botocore ships; those that only read, and PassRole, stay."""
    actions = botocore.session.get_session().get_service_model("iam").operation_names
    changing = [a for a in actions if not a.startswith(("Get", "List", "Generate", "Simulate"))]
    assert len(changing) > 80
    open_actions = [a for a in changing if decision(policy, f"iam:{a}", "*") != "deny"]
    assert open_actions == []


def test_nothing_is_allowed_by_wildcard_action(policy: dict[str, Any]) -> None:
    for statement in policy["PolicyDocument"]["Statement"]:
        if statement["Effect"] == "Allow":
            assert "*" not in json.dumps(statement["Action"])
