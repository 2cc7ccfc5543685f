"""Roles with all that decides what they may do, from whichever stack it comes."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .estate import Estate
from .template import Template
from .values import listed


@dataclass(frozen=True)
class Attached:
    """A policy document, resolved, with the resource that brings it."""

    template: Template
    logical_id: str
    document: Mapping[str, Any]
    property_path: str


@dataclass(frozen=True)
class Role:
    """A role of an estate.

    Parameters
    ----------
    trust
        Who may assume it.
    policies
        Identity policies of every stack that are attached to it.
    boundary
        Its permissions boundary; None where it has none, or one that is not part of the estate.
    boundary_arn
        ARN of the boundary, empty where it has none.
    foreign_policies
        ARNs of attached policies that are not part of the estate, AWS's own among them.
    """

    template: Template
    logical_id: str
    arn: str
    name: str
    trust: Mapping[str, Any]
    boundary_arn: str
    boundary: Attached | None
    policies: tuple[Attached, ...]
    foreign_policies: tuple[str, ...]


@functools.lru_cache(maxsize=2)
def roles(estate: Estate) -> tuple[Role, ...]:
    """All roles of the estate; a policy finds its role by the role's name, as in AWS."""
    elsewhere: dict[tuple[str, str], list[Attached]] = defaultdict(list)
    for account, name, attached in _attached_elsewhere(estate):
        elsewhere[account, name].append(attached)
    return tuple(
        _role(estate, template, logical_id, elsewhere) for template, logical_id, _ in estate.resources("AWS::IAM::Role")
    )


def identity_policies(estate: Estate) -> Iterator[Attached]:
    """Every identity policy of the estate, each once, boundaries included."""
    for template, logical_id, resource in estate.resources():
        properties = template.properties(logical_id)
        kind = resource.get("Type")
        if kind in _POLICY_TYPES and "PolicyDocument" in properties:
            document = estate.document(template, properties["PolicyDocument"])
            yield Attached(template, logical_id, document, "Properties.PolicyDocument")
        if kind in _PRINCIPAL_TYPES:
            yield from _inline(estate, template, logical_id)


_POLICY_TYPES = (
    "AWS::IAM::Policy",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::RolePolicy",
    "AWS::IAM::UserPolicy",
    "AWS::IAM::GroupPolicy",
)
_PRINCIPAL_TYPES = ("AWS::IAM::Role", "AWS::IAM::User", "AWS::IAM::Group")


def _role(
    estate: Estate, template: Template, logical_id: str, elsewhere: Mapping[tuple[str, str], Sequence[Attached]]
) -> Role:
    properties = template.properties(logical_id)
    name = estate.name(template, logical_id)
    boundary_arn = estate.text(template, properties.get("PermissionsBoundary", ""))
    arns = [estate.text(template, arn) for arn in listed(properties.get("ManagedPolicyArns"))]
    managed = [(arn, _managed(estate, arn)) for arn in arns]
    return Role(
        template=template,
        logical_id=logical_id,
        arn=estate.arn(template, logical_id),
        name=name,
        trust=estate.document(template, properties.get("AssumeRolePolicyDocument")),
        boundary_arn=boundary_arn,
        boundary=_managed(estate, boundary_arn),
        policies=(
            *_inline(estate, template, logical_id),
            *(policy for _, policy in managed if policy is not None),
            *elsewhere.get((template.account, name), ()),
        ),
        foreign_policies=tuple(arn for arn, policy in managed if policy is None),
    )


def _inline(estate: Estate, template: Template, logical_id: str) -> Iterator[Attached]:
    policies = template.properties(logical_id).get("Policies", [])
    for n, policy in enumerate(policies if isinstance(policies, list) else []):
        if isinstance(policy, Mapping):
            document = estate.document(template, policy.get("PolicyDocument"))
            yield Attached(template, logical_id, document, f"Properties.Policies.{n}.PolicyDocument")


def _managed(estate: Estate, arn: str) -> Attached | None:
    found = estate.find(arn)
    if found is None:
        return None
    template, logical_id = found
    document = estate.document(template, template.properties(logical_id).get("PolicyDocument"))
    return Attached(template, logical_id, document, "Properties.PolicyDocument")


def _attached_elsewhere(estate: Estate) -> Iterator[tuple[str, str, Attached]]:
    """Account, role name and policy of each policy resource that names the roles that it is attached to."""
    for template, logical_id, _ in estate.resources(
        "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"
    ):
        properties = template.properties(logical_id)
        document = estate.document(template, properties.get("PolicyDocument"))
        attached = Attached(template, logical_id, document, "Properties.PolicyDocument")
        for role in [*listed(properties.get("Roles")), *listed(properties.get("RoleName"))]:
            yield template.account, estate.text(template, role), attached
