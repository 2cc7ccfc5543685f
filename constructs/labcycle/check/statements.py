"""The statements of all policies of an estate, read so that malformed ones do no harm."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .estate import Estate
from .iam.patterns import AnyOf, is_wild, matches
from .resource_policies import resource_policies
from .roles import Attached, identity_policies, roles
from .template import Template
from .values import listed, mapping, texts


class Kind(Enum):
    """What a policy is for: rights of an identity, a ceiling of rights, who may assume a role, who may use a resource."""

    IDENTITY = "identity policy"
    BOUNDARY = "permissions boundary"
    TRUST = "trust policy"
    RESOURCE = "resource policy"


# Operators that let in only what has the key and one of its values.
_NARROWING = {
    f"{prefix}{operator}"
    for prefix in ("", "foranyvalue:")
    for operator in ("stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike")
}


@dataclass(frozen=True)
class Condition:
    """One operator and key of a statement, with the values."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def narrows(self) -> bool:
        """Whether only requests that carry the key, with a value of a certain account where it is an ARN, meet it."""
        return (
            self.operator.lower() in _NARROWING
            and bool(self.values)
            and not any(_is_anything(value) for value in self.values)
        )


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, resolved. Action names, principals and so on are always tuples.

    Parameters
    ----------
    principals
        By type (`AWS`, `Service`, `Federated`, `CanonicalUser`); `*` alone is `AWS: *`.
    """

    kind: Kind
    policy: Attached
    property_path: str
    effect: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: Mapping[str, tuple[str, ...]]
    not_principals: Mapping[str, tuple[str, ...]]
    conditions: tuple[Condition, ...]

    @property
    def allows(self) -> bool:
        return self.effect == "Allow"

    @property
    def logical_id(self) -> str:
        """Of the resource that brings the policy."""
        return self.policy.logical_id

    @property
    def sources(self) -> Iterator[Condition]:
        """Conditions that narrow who may come."""
        return (condition for condition in self.conditions if condition.narrows)

    def is_narrowed_by(self, keys: Collection[str]) -> bool:
        """Whether a condition on one of these keys narrows it. Keys are in lower case; one that ends with `*` is a prefix."""
        return any(matches(key, condition.key.lower()) for condition in self.sources for key in keys)

    def covers_action(self, action: str) -> bool:
        """Whether the action, without wildcards, is one of those that it names."""
        return (action.lower() in self._named) != bool(self.not_actions)

    @functools.cached_property
    def _named(self) -> AnyOf:
        return AnyOf(one.lower() for one in self.not_actions or self.actions)


def statements(estate: Estate, template: Template, *kinds: Kind) -> Iterator[Statement]:
    """The statements that a template brings, of these kinds or of all."""
    for statement in _all(estate).get(template, ()):
        if not kinds or statement.kind in kinds:
            yield statement


def statements_of(policy: Attached, kind: Kind) -> Iterator[Statement]:
    """The statements of a policy. What is not an object is left out: the schema checkers complain of it."""
    found = policy.document.get("Statement", [])
    for n, body in enumerate(listed(found)):
        if isinstance(body, Mapping):
            where = policy.property_path
            if where.endswith(("Document", "Policy", "PolicyText")):  # else it is that of the statement itself
                where += f".Statement.{n}" if isinstance(found, list) else ".Statement"
            yield Statement(
                kind=kind,
                policy=policy,
                property_path=where,
                effect=str(body.get("Effect", "")),
                actions=texts(body.get("Action")),
                not_actions=texts(body.get("NotAction")),
                resources=texts(body.get("Resource")),
                not_resources=texts(body.get("NotResource")),
                principals=_principals(body.get("Principal")),
                not_principals=_principals(body.get("NotPrincipal")),
                conditions=tuple(_conditions(body.get("Condition"))),
            )


def is_unknown(text: str) -> bool:
    """Whether a part of a text is not known before it is deployed."""
    return "unknown-" in text


@functools.lru_cache(maxsize=2)
def boundary_arns(estate: Estate) -> frozenset[str]:
    """ARNs of all policies that a role or user names as its boundary and that nobody is attached to."""
    named = {role.boundary_arn for role in roles(estate) if role.boundary_arn}
    for template, logical_id, _ in estate.resources("AWS::IAM::User"):
        properties = template.properties(logical_id)
        if "PermissionsBoundary" in properties:
            named.add(estate.text(template, properties["PermissionsBoundary"]))
    for role in roles(estate):
        for policy in role.policies:
            if policy.template.resource(policy.logical_id).get("Type") == "AWS::IAM::ManagedPolicy":
                named.discard(estate.arn(policy.template, policy.logical_id))
    return frozenset(named)


@functools.lru_cache(maxsize=2)
def _all(estate: Estate) -> Mapping[Template, tuple[Statement, ...]]:
    found: dict[Template, list[Statement]] = defaultdict(list)
    seen: set[tuple[Template, str, str]] = set()
    for kind, policy in _policies(estate):
        place = (policy.template, policy.logical_id, policy.property_path)
        if place not in seen:  # one topic policy may be that of several topics
            seen.add(place)
            found[policy.template].extend(statements_of(policy, kind))
    return {template: tuple(brought) for template, brought in found.items()}


def _policies(estate: Estate) -> Iterator[tuple[Kind, Attached]]:
    ceilings = boundary_arns(estate)
    for policy in identity_policies(estate):
        managed = policy.template.resource(policy.logical_id).get("Type") == "AWS::IAM::ManagedPolicy"
        is_ceiling = managed and estate.arn(policy.template, policy.logical_id) in ceilings
        yield Kind.BOUNDARY if is_ceiling else Kind.IDENTITY, policy
    for role in roles(estate):
        yield (
            Kind.TRUST,
            Attached(role.template, role.logical_id, role.trust, "Properties.AssumeRolePolicyDocument"),
        )
    for policies in resource_policies(estate).values():
        for policy in policies:
            yield Kind.RESOURCE, policy


def _principals(value: Any) -> dict[str, tuple[str, ...]]:
    if isinstance(value, Mapping):
        return {str(kind): texts(one) for kind, one in value.items()}
    found = texts(value)
    return {"AWS": found} if found else {}


def _conditions(value: Any) -> Iterator[Condition]:
    for operator, keys in mapping(value).items():
        for key, wanted in mapping(keys).items():
            yield Condition(str(operator), str(key), texts(wanted))


def _is_anything(value: str) -> bool:
    """Whether a value of a condition lets in any account: `*`, or an ARN whose account is a wildcard."""
    parts = value.split(":", 5)
    return not value.strip("*?") or (parts[0] == "arn" and len(parts) == 6 and is_wild(parts[4]))
