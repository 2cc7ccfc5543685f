"""What IAM lets one role hold of inline policies, summed over the stacks of a team.

Each capability attaches a policy of its own to the roles of members, so that a team with many models can reach the limit.
CloudFormation would say so in the middle of a deployment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aws_cdk import CfnElement, CfnResource, Stack, Token
from aws_cdk import aws_iam as iam

from labcycle.config import Problem, Team, names

# Characters without white space: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
SIZE_LIMIT = 10_240
# Of what a policy refers to, in the partition and region with the longest names: state machines, with names of 80 characters
_LONGEST_ARN, _LONGEST_NAME = 150, 80
_LONGEST = {
    "AWS::AccountId": 12,
    "AWS::ApiGateway::ApiKey": 20,
    "AWS::ApiGateway::RestApi": 10,
    "AWS::ApiGateway::UsagePlan": 20,
    "AWS::ApiGatewayV2::Api": 10,
    "AWS::EC2::LaunchTemplate": 20,
    "AWS::Partition": 10,
    "AWS::Region": 14,
}


def problems_of_size(team: Team, stacks: Sequence[Stack]) -> Iterator[Problem]:
    """Every member with a role that would hold more than IAM allows. What is known only in AWS counts with its longest."""
    held = sizes(stacks)
    for i, member in enumerate(team.members):
        for name in (names.member_role, names.workspace_role, names.job_role):
            role = name(team.team, member.name)
            if held[role] > SIZE_LIMIT:
                yield team.origin.problem(
                    ("members", i, "name"),
                    f"got {member.name}, whose role {role} would hold inline policies of up to {held[role]:,} characters for "
                    f"{len(team.models)} models; IAM allows {SIZE_LIMIT:,}. Divide the models among teams, or give the member "
                    f"fewer roles",
                )


def sizes(stacks: Sequence[Stack]) -> Counter[str]:
    """Characters of all inline policies, by the name of the role; roles without one are not looked at."""
    resources = [
        (stack, child) for stack in stacks for child in stack.node.find_all() if isinstance(child, CfnResource)
    ]
    named = {
        _id(role): role.role_name
        for _, role in resources
        if isinstance(role, iam.CfnRole) and role.role_name and not Token.is_unresolved(role.role_name)
    }
    ids = _LONGEST | {_id(r): _LONGEST[r.cfn_resource_type] for _, r in resources if r.cfn_resource_type in _LONGEST}
    found: Counter[str] = Counter()
    for stack, policy in resources:
        if isinstance(policy, iam.CfnPolicy):
            length = _length(stack.resolve(policy.policy_document), ids)
            for role in stack.resolve(policy.roles):
                name = named.get(role["Ref"]) if isinstance(role, Mapping) else role
                if name:
                    found[name] += length
    return found


def _id(element: CfnElement) -> str:
    return str(element.stack.resolve(element.logical_id))


def _length(document: object, ids: Mapping[str, int]) -> int:
    return len("".join(json.dumps(_filled(document, ids), separators=(",", ":")).split()))


def _filled(value: Any, ids: Mapping[str, int]) -> Any:
    """`value` with something of at least their length for all intrinsic functions."""
    if isinstance(value, list):
        return [_filled(one, ids) for one in value]
    if not isinstance(value, Mapping):
        return value
    if set(value) == {"Fn::Join"}:
        separator, parts = value["Fn::Join"]
        return separator.join(str(_filled(part, ids)) for part in parts)
    if set(value) == {"Ref"}:
        return "x" * ids.get(value["Ref"], _LONGEST_ARN)
    if set(value) == {"Fn::Select"}:  # a part of an ARN
        return "x" * _LONGEST_NAME
    if len(value) == 1 and next(iter(value)).startswith("Fn::"):
        return "x" * _LONGEST_ARN
    return {key: _filled(one, ids) for key, one in value.items()}
