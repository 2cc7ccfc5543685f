from __future__ import annotations

from typing import Any

import pytest

from labcycle.check.estate import Estate
from labcycle.check.rules import rule
from tests.unit.check.rules.cases import ACCOUNT, REGION, offenders, resource, stack
from tests.unit.check.rules.policies import TABLE, allowed, document, managed, policy, policy_arn, role, role_arn

RULE = "iam-no-privilege-escalation"
ANY = f"arn:aws:iam::{ACCOUNT}:role/x"
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
WEAK = role("weak", allowed("dynamodb:GetItem", TABLE))
STRONG = role("strong", allowed("iam:PutRolePolicy", ANY))
STARTS = [
    ["ec2:RunInstances"],
    ["cloudformation:CreateStack"],
    ["lambda:CreateFunction", "lambda:InvokeFunction"],
    ["sagemaker:CreateTrainingJob"],
    ["sagemaker:CreateNotebookInstance"],
    ["glue:CreateDevEndpoint"],
    ["datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"],
    ["codebuild:CreateProject", "codebuild:StartBuild"],
    ["ecs:RegisterTaskDefinition", "ecs:RunTask"],
    ["states:CreateStateMachine", "states:StartExecution"],
]


def test_compliant() -> None:
    reading = role("r", allowed(["dynamodb:GetItem", "dynamodb:PutItem"], TABLE))
    assert offenders(RULE, stack(Role=reading, Policy=policy(allowed("iam:GetRole", ANY)))) == []


@pytest.mark.parametrize(
    "action",
    [
        "iam:CreatePolicyVersion",
        "iam:SetDefaultPolicyVersion",
        "iam:AttachRolePolicy",
        "iam:PutRolePolicy",
        "iam:CreateAccessKey",
        "iam:CreateLoginProfile",
        "iam:UpdateAssumeRolePolicy",
        "iam:AddUserToGroup",
        "iam:DeleteRolePermissionsBoundary",
        "iam:*",
        "*",
    ],
)
def test_non_compliant(action: str) -> None:
    assert set(offenders(RULE, stack(Role=role("r", allowed(action, "*"))))) == {"Role"}


def test_all_but_some_actions() -> None:
    assert set(offenders(RULE, stack(Role=role("r", {"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"})))) == {
        "Role"
    }
    but = ["iam:*", "lambda:*", "ssm:*", "glue:*", "sagemaker:*", "ec2-instance-connect:*"]
    assert offenders(RULE, stack(Role=role("r", {"Effect": "Allow", "NotAction": but, "Resource": "*"}))) == []


@pytest.mark.parametrize("actions", STARTS)
def test_passing_any_role_to_what_starts_work(actions: list[str]) -> None:
    passing = role("r", allowed("iam:PassRole", "*"), allowed(actions, "*"))
    assert set(offenders(RULE, stack(Role=passing))) == {"Role"}


@pytest.mark.parametrize("actions", STARTS)
def test_passing_by_halves_is_none(actions: list[str]) -> None:
    assert offenders(RULE, stack(Role=role("r", allowed("iam:PassRole", "*")))) == []
    assert offenders(RULE, stack(Role=role("r", allowed(actions, "*")))) == []
    elsewhere = {"StringEquals": {"iam:PassedToService": "backup.amazonaws.com"}}
    to_other = role("r", allowed("iam:PassRole", "*", Condition=elsewhere), allowed(actions, "*"))
    assert offenders(RULE, stack(Role=to_other)) == []


def passing(name: str, **properties: Any) -> dict[str, Any]:
    return role("r", allowed("iam:PassRole", role_arn(name)), allowed("sagemaker:CreateTrainingJob", "*"), **properties)


def test_only_a_stronger_role_is_an_escalation() -> None:
    assert offenders(RULE, stack(Role=passing("weak"), Weak=WEAK)) == []
    assert sorted(offenders(RULE, stack(Role=passing("strong"), Strong=STRONG))) == ["Role", "Strong"]
    administrator = role("admin", ManagedPolicyArns=[ADMINISTRATOR])
    assert sorted(offenders(RULE, stack(Role=passing("admin"), Admin=administrator))) == ["Admin", "Role"]


def test_a_role_outside_the_boundary_is_stronger() -> None:
    ceiling = managed("ceiling", allowed(["iam:PassRole", "sagemaker:CreateTrainingJob", "dynamodb:GetItem"], "*"))
    arn = policy_arn("ceiling")
    guarded = passing("weak", PermissionsBoundary=arn)
    within = role("weak", allowed("dynamodb:GetItem", TABLE), PermissionsBoundary=arn)
    assert offenders(RULE, stack(Ceiling=ceiling, Role=guarded, Weak=within)) == []
    assert offenders(RULE, stack(Ceiling=ceiling, Role=guarded, Weak=WEAK)) == ["Role"]


def test_rights_add_up_over_stacks() -> None:
    one = stack("one", Role=role("r", allowed("iam:PassRole", "*")))
    two = stack("two", More=policy(allowed("ec2:RunInstances", "*"), roles=["r"]))
    assert offenders(RULE, one, two) == ["Role"]
    assert offenders(RULE, one, stack("two", More=policy(allowed("ec2:RunInstances", "*"), roles=["q"]))) == []


def test_a_boundary_and_a_denial_take_rights_away() -> None:
    arn = policy_arn("ceiling")
    guarded = role("r", allowed("iam:PutRolePolicy", "*"), PermissionsBoundary=arn)
    assert offenders(RULE, stack(C=managed("ceiling", allowed("dynamodb:*", "*")), Role=guarded)) == []
    assert offenders(RULE, stack(C=managed("ceiling", allowed("iam:*", "*")), Role=guarded)) == ["Role"]
    denying = {"Effect": "Deny", "Action": "iam:Put*", "Resource": "*"}
    assert offenders(RULE, stack(C=managed("ceiling", allowed("*", "*"), denying), Role=guarded)) == []
    assert offenders(RULE, stack(Role=role("r", allowed("iam:PutRolePolicy", "*"), denying))) == []
    sometimes = denying | {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert offenders(RULE, stack(Role=role("r", allowed("iam:PutRolePolicy", "*"), sometimes))) == ["Role"]


def test_ones_own_keys_are_no_escalation() -> None:
    own = f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}"
    group = resource(
        "AWS::IAM::Group",
        Policies=[{"PolicyName": "p", "PolicyDocument": document(allowed("iam:CreateAccessKey", own))}],
    )
    assert offenders(RULE, stack(Group=group)) == []
    group["Properties"]["Policies"][0]["PolicyDocument"] = document(allowed("iam:CreateAccessKey", "*"))
    assert offenders(RULE, stack(Group=group)) == ["Group"]


@pytest.mark.parametrize("action", ["lambda:UpdateFunctionCode", "ssm:SendCommand", "ssm:StartSession"])
def test_taking_over_whatever_there_is(action: str) -> None:
    assert offenders(RULE, stack(Role=role("r", allowed(action, "*")))) == ["Role"]
    by_tag = {"StringEquals": {"ssm:resourceTag/owner": "me"}}
    assert offenders(RULE, stack(Role=role("r", allowed(action, "*", Condition=by_tag)))) == []


def test_taking_over_a_function_with_a_stronger_role() -> None:
    arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    taking = role("r", allowed("lambda:UpdateFunctionCode", arn))
    function = resource("AWS::Lambda::Function", FunctionName="f", Role={"Fn::GetAtt": ["Its", "Arn"]})
    assert offenders(RULE, stack(Role=taking, Function=function, Its=WEAK)) == []
    assert sorted(offenders(RULE, stack(Role=taking, Function=function, Its=STRONG))) == ["Its", "Role"]


def test_the_message_says_who_and_how() -> None:
    template = stack(Role=passing("strong"), Strong=STRONG)
    found = {finding.message for finding in rule("iam_no_privilege_escalation").findings(template, Estate([template]))}
    assert found == {
        "the role strong can give itself any rights by iam:PutRolePolicy",
        "the role r can work as the role strong, which can change identities, by iam:PassRole and sagemaker:CreateTrainingJob",
    }


def test_not_applicable() -> None:
    assert offenders(RULE, stack(Bucket=resource("AWS::S3::Bucket"))) == []
