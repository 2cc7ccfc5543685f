"""What is too large, or belongs to nobody."""

from __future__ import annotations

from tests.planted.draft import Draft, fault

WORKSPACES = "labcycle-fraud-workspaces"
GUARDRAILS = "labcycle-growth-guardrails"


@fault(WORKSPACES, "template-within-quotas")
def too_long_role_name(draft: Draft) -> str:
    """The name of the workspaces' role has 65 characters."""
    role = draft.find("AWS::IAM::Role")
    draft.properties(role)["RoleName"] = "labcycle-fraud-scientist-1-workspace".ljust(65, "x")
    return role


@fault(GUARDRAILS, "template-within-quotas")
def too_large_policy(draft: Draft) -> str:
    """The boundary has more than 6,144 characters."""
    boundary = draft.find("AWS::IAM::ManagedPolicy")
    buckets = [f"arn:aws:s3:::labcycle-growth-more-{number:03}/*" for number in range(120)]
    draft.properties(boundary)["PolicyDocument"]["Statement"].append(
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": buckets}
    )
    return boundary


@fault(GUARDRAILS, "template-within-quotas")
def too_many_resources(draft: Draft) -> str:
    """The template has 501 resources."""
    for number in range(500):
        draft.body["Resources"][f"Handle{number}"] = {"Type": "AWS::CloudFormation::WaitConditionHandle"}
    return ""


@fault(WORKSPACES, "taggable-is-tagged")
def missing_team_tag(draft: Draft) -> str:
    """The workspaces' role has no tag with its team."""
    role = draft.find("AWS::IAM::Role")
    properties = draft.properties(role)
    properties["Tags"] = [tag for tag in properties["Tags"] if tag["Key"] != "labcycle:team"]
    return role
