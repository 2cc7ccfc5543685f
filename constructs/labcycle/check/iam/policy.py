"""Policy documents, read strictly.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .conditions import Condition, check_variables, parse_conditions, without_variables
from .errors import PolicyError
from .patterns import AnyOf
from .principals import Named, parse_principals

_VERSIONS = ("2012-10-17", "2008-10-17")
_DOCUMENT = {"Version", "Id", "Statement"}
_STATEMENT = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}


@dataclass(frozen=True)
class Statement:
    """One statement. Of each pair of elements, one is None: `actions` or `not_actions`, and so on.

    Parameters
    ----------
    policy
        Name of the policy, for explanations.
    place
        Its `Sid`, or its number within the policy.
    actions, not_actions
        In lower case.
    resources, not_resources
        Both None: whatever the policy is attached to.
    principals, not_principals
        Both None in an identity policy.
    """

    policy: str
    place: str
    allows: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: tuple[Named, ...] | None
    not_principals: tuple[Named, ...] | None
    conditions: tuple[Condition, ...]

    def __str__(self) -> str:
        return f"{self.policy}, statement {self.place}"

    def takes(self, action: str) -> bool:
        """Whether it is about an action, which is given in lower case."""
        return (action in self._named) is (self.actions is not None)

    @cached_property
    def _named(self) -> AnyOf:
        return AnyOf((self.not_actions or ()) if self.actions is None else self.actions)


@dataclass(frozen=True)
class Policy:
    """The statements of a document, and what it is called in explanations."""

    name: str
    statements: tuple[Statement, ...] = field(repr=False)

    def about(self, action: str) -> tuple[Statement, ...]:
        """Its statements about an action, which is given in lower case."""
        if action not in self._by_action:
            self._by_action[action] = tuple(statement for statement in self.statements if statement.takes(action))
        return self._by_action[action]

    @cached_property
    def _by_action(self) -> dict[str, tuple[Statement, ...]]:
        return {}


def identity_policy(document: Mapping[str, Any], name: str) -> Policy:
    """Read a policy of a role or user, a permissions boundary or a session policy: it names no principal.

    Raises
    ------
    PolicyError
        If anything in it is unknown or missing.
    """
    return Policy(name, tuple(_statements(document, name, of_resource=False)))


def resource_policy(document: Mapping[str, Any], name: str) -> Policy:
    """Read a policy of a resource, a key or (a trust policy) a role: every statement names a principal.

    Raises
    ------
    PolicyError
        If anything in it is unknown or missing.
    """
    return Policy(name, tuple(_statements(document, name, of_resource=True)))


def _statements(document: Mapping[str, Any], name: str, *, of_resource: bool) -> Iterator[Statement]:
    if not isinstance(document, Mapping) or "Statement" not in document:
        raise PolicyError(f"{name}: got {document!r}; allowed a policy document with a Statement")
    _only_known(name, document, _DOCUMENT)
    version = document.get("Version", _VERSIONS[1])
    if version not in _VERSIONS:
        raise PolicyError(f"{name}: got the Version {version!r}; allowed {', '.join(_VERSIONS)}")
    listed = document["Statement"]
    for n, element in enumerate(listed if isinstance(listed, list) else [listed]):
        where = f"{name}, statement {n}"
        try:
            yield _statement(element, name, str(n), version == _VERSIONS[0], of_resource)
        except (PolicyError, ValueError) as error:
            raise PolicyError(f"{where}: {error}") from None


def _statement(element: object, name: str, number: str, has_variables: bool, of_resource: bool) -> Statement:
    if not isinstance(element, Mapping):
        raise PolicyError(f"got {element!r}; allowed an object")
    _only_known("", element, _STATEMENT)
    if element.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"got the Effect {element.get('Effect')!r}; allowed Allow, Deny")
    _one_of(element, "Action", "NotAction")
    principals = _named(element, "Principal")
    provider = next((_provider(p) for p in principals or () if p.kind == "Federated"), "")
    if of_resource:
        _one_of(element, "Principal", "NotPrincipal")
    elif "Principal" in element or "NotPrincipal" in element:
        raise PolicyError("got a principal; allowed none in an identity policy")
    actions, not_actions = _actions(element, "Action"), _actions(element, "NotAction")
    is_trust = of_resource and all(action.startswith("sts:") for action in actions or ("",))
    if not is_trust or "Resource" in element or "NotResource" in element:
        _one_of(element, "Resource", "NotResource")
    return Statement(
        policy=name,
        place=str(element.get("Sid") or number),
        allows=element["Effect"] == "Allow",
        actions=actions,
        not_actions=not_actions,
        resources=_resources(element, "Resource", has_variables),
        not_resources=_resources(element, "NotResource", has_variables),
        principals=principals,
        not_principals=_named(element, "NotPrincipal"),
        conditions=parse_conditions(element.get("Condition", {}), has_variables=has_variables, provider=provider),
    )


def _only_known(name: str, element: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(set(element) - known)
    if unknown:
        where = f"{name}: " if name else ""
        raise PolicyError(f"{where}got the element {unknown[0]}; allowed {', '.join(sorted(known))}")


def _one_of(element: Mapping[str, Any], one: str, other: str) -> None:
    if (one in element) == (other in element):
        raise PolicyError(f"got {'both' if one in element else 'neither'} of {one} and {other}; allowed one of them")


def _texts(element: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    if key not in element:
        return None
    listed = element[key] if isinstance(element[key], list) else [element[key]]
    if not listed or not all(isinstance(text, str) and text for text in listed):
        raise PolicyError(f"{key}: got {element[key]!r}; allowed one text or several")
    return tuple(listed)


def _actions(element: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    actions = _texts(element, key)
    for action in actions or ():
        if action != "*" and action.count(":") != 1:
            raise PolicyError(f"{key}: got {action!r}; allowed service:Action, with wildcards, or *")
    return None if actions is None else tuple(action.lower() for action in actions)


def _resources(element: Mapping[str, Any], key: str, has_variables: bool) -> tuple[str, ...] | None:
    resources = _texts(element, key)
    if resources is None:
        return None
    if not has_variables:
        resources = tuple(without_variables(resource) for resource in resources)
    for resource in resources:
        if not resource.endswith("*") and (not resource.startswith("arn:") or resource.count(":") < 5):
            raise PolicyError(f"{key}: got {resource!r}; allowed an ARN of six parts, with wildcards, or *")
        check_variables(resource)
    return resources


def _named(element: Mapping[str, Any], key: str) -> tuple[Named, ...] | None:
    return parse_principals(element[key]) if key in element else None


def _provider(principal: Named) -> str:
    """`accounts.example.com/path` of `arn:aws:iam::123456789012:oidc-provider/accounts.example.com/path`."""
    return principal.value.partition(":oidc-provider/")[2] or principal.value
