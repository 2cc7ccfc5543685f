"""Who may do what."""

from __future__ import annotations

from typing import Any

from tests.planted.draft import Draft, fault

WORKSPACES = "labcycle-fraud-workspaces"
FOUNDATION = "labcycle-fraud-foundation"
MODEL = "labcycle-fraud-model-card-fraud"
_ARTIFACTS = "arn:aws:s3:::labcycle-fraud-artifacts-123456789012-eu-west-1"


def allow(draft: Draft, action: str, resource: Any, **others: Any) -> str:
    """Allow one thing more to the workspaces' role."""
    policy = draft.find("AWS::IAM::Policy", "/Workspaces/")
    statement = {"Effect": "Allow", "Action": action, "Resource": resource, **others}
    draft.properties(policy)["PolicyDocument"]["Statement"].append(statement)
    return policy


@fault(WORKSPACES, "iam-action-exists")
def action_typo(draft: Draft) -> str:
    """The workspaces' role may do s3:GetObjcet."""
    return allow(draft, "s3:GetObjcet", f"{_ARTIFACTS}/wheels/*")


@fault(WORKSPACES, "iam-no-wildcard-action")
def everything_on_everything(draft: Draft) -> str:
    """The workspaces' role may do `*` on `*`."""
    return allow(draft, "*", "*")


@fault(WORKSPACES, "iam-no-wildcard-action")
def all_actions_of_a_service(draft: Draft) -> str:
    """The workspaces' role may do `s3:*` on the team's bucket."""
    return allow(draft, "s3:*", f"{_ARTIFACTS}/wheels/*")


@fault(WORKSPACES, "iam-no-wildcard-resource")
def action_on_all_resources(draft: Draft) -> str:
    """The workspaces' role may read items of all tables."""
    return allow(draft, "dynamodb:GetItem", "*")


@fault(WORKSPACES, "iam-resource-fits-action")
def wrong_kind_of_arn(draft: Draft) -> str:
    """The workspaces' role may get objects of the bucket's own ARN, which has none."""
    return allow(draft, "s3:GetObject", _ARTIFACTS)


@fault(WORKSPACES, "iam-condition-key-fits")
def condition_key_that_is_not(draft: Draft) -> str:
    """A right has a condition on s3:prefx."""
    return allow(draft, "s3:ListBucket", _ARTIFACTS, Condition={"StringLike": {"s3:prefx": "wheels/*"}})


@fault(WORKSPACES, "iam-condition-key-fits")
def condition_operator_typo(draft: Draft) -> str:
    """A right has a condition with the operator StringLikes."""
    return allow(draft, "s3:ListBucket", _ARTIFACTS, Condition={"StringLikes": {"s3:prefix": "wheels/*"}})


@fault(WORKSPACES, "iam-pass-role-is-named")
def pass_any_role(draft: Draft) -> str:
    """The workspaces' role may pass every role to SageMaker."""
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    return allow(draft, "iam:PassRole", "*", Condition=to_sagemaker)


@fault(MODEL, "iam-pass-role-is-named")
def pass_role_to_any_service(draft: Draft) -> str:
    """The state machine may pass the training role to any service."""
    policy = draft.find("AWS::IAM::Policy", "/StatesRole/")
    for statement in draft.properties(policy)["PolicyDocument"]["Statement"]:
        if statement["Action"] == "iam:PassRole":
            del statement["Condition"]
    return policy


@fault(WORKSPACES, "iam-trust-is-narrow")
def trust_of_everybody(draft: Draft) -> str:
    """The workspaces' role trusts `*`."""
    role = draft.find("AWS::IAM::Role")
    draft.properties(role)["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"AWS": "*"}
    return role


@fault(MODEL, "iam-service-trust-names-source")
def trust_of_a_service_without_source(draft: Draft) -> str:
    """The schedule's role trusts the scheduler on behalf of any account."""
    role = draft.find("AWS::IAM::Role", "/ScheduleRole/")
    del draft.properties(role)["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]
    return role


@fault(WORKSPACES, "iam-no-privilege-escalation")
def way_to_more_rights(draft: Draft) -> str:
    """A policy lets its holder attach policies to the team's roles."""
    return draft.add(
        "Attach",
        "AWS::IAM::ManagedPolicy",
        PolicyDocument={
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "iam:AttachRolePolicy",
                    "Resource": "arn:aws:iam::123456789012:role/labcycle/fraud/*",
                }
            ],
        },
    )


@fault(WORKSPACES, "iam-no-rights-on-users")
def access_key_of_a_user(draft: Draft) -> str:
    """A user gets an access key."""
    return draft.add("AccessKey", "AWS::IAM::AccessKey", UserName="operator-1")


@fault(WORKSPACES, "iam-no-cross-team")
def bucket_of_another_team(draft: Draft) -> str:
    """The workspaces' role of the team fraud may read the bucket of the team growth."""
    return allow(draft, "s3:GetObject", "arn:aws:s3:::labcycle-growth-artifacts-123456789012-eu-west-1/wheels/*")


@fault(WORKSPACES, "iam-no-cross-team")
def wildcard_that_reaches_over(draft: Draft) -> str:
    """The workspaces' role of the team fraud may read each team's table."""
    return allow(draft, "dynamodb:GetItem", "arn:aws:dynamodb:eu-west-1:123456789012:table/labcycle-*")


@fault(WORKSPACES, "iam-role-has-boundary")
def missing_boundary(draft: Draft) -> str:
    """The workspaces' role has no boundary."""
    role = draft.find("AWS::IAM::Role")
    del draft.properties(role)["PermissionsBoundary"]
    return role


@fault(FOUNDATION, "iam-boundary-comes-first")
def boundary_without_order(draft: Draft) -> str:
    """The stack of the roles does not depend on that of the boundary."""
    draft.after.clear()
    return draft.find("AWS::IAM::Role", "scientist-1")


@fault("labcycle-growth-tracking", "iam-service-trust-names-source")
def function_called_for_anybody(draft: Draft) -> str:
    """API Gateway may call the function for any API."""
    permission = draft.find("AWS::Lambda::Permission", "/ANY--labcycle--{proxy+}/")
    del draft.properties(permission)["SourceArn"]
    return permission
