"""Every action of a statement takes one of its resources, and every resource is taken by one of its actions."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.service_authorization import Action, find_action, fits
from labcycle.check.statements import Kind, Statement, is_unknown, statements
from labcycle.check.template import Template

WHY = "An action on a resource of the wrong kind is never allowed: `s3:GetObject` on a bucket's ARN reads no object."
MEND = "Name a resource of a type that the action takes, or put the action into a statement of its own."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template, Kind.IDENTITY, Kind.BOUNDARY):
        where = f"{statement.property_path}.Resource"
        for message in (*_actions_without_resource(statement), *_resources_without_action(statement)):
            yield Violation(statement.logical_id, message, where)


def _actions_without_resource(statement: Statement) -> Iterator[str]:
    if not statement.resources or not all(_is_judged(one) for one in statement.resources):
        return
    for action in _known(statement):
        if not any(_takes(action, one) for one in statement.resources):
            kinds = ", ".join(f"{kind.name} ({kind.arns[0]})" for kind in action.resource_types) or "none, so `*`"
            yield f"got {action.name} on {', '.join(statement.resources)}; it takes {kinds}"


def _resources_without_action(statement: Statement) -> Iterator[str]:
    actions = _known(statement)
    if not actions or len(actions) < len(statement.actions):
        return
    for resource in statement.resources:
        if _is_judged(resource) and not any(_takes(action, resource) for action in actions):
            yield f"got {resource}, which none of {', '.join(action.name for action in actions)} takes"


def _known(statement: Statement) -> list[Action]:
    """The actions without wildcards that exist."""
    return [action for name in statement.actions if (action := find_action(name))]


def _takes(action: Action, resource: str) -> bool:
    return resource == "*" or any(fits(resource, kind) for kind in action.resource_types)


def _is_judged(resource: str) -> bool:
    return resource == "*" or (resource.startswith("arn:") and not is_unknown(resource.rpartition(":")[0]))
