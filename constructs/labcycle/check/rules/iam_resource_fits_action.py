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
        actions = [find_action(name) for name in statement.actions]
        known = [action for action in actions if action is not None]
        resources = [one for one in statement.resources if _is_judged(one)]
        if len(known) == len(actions) and len(resources) == len(statement.resources):  # else nobody knows the whole
            yield from _misfits(statement, known, resources)


def _misfits(statement: Statement, actions: list[Action], resources: list[str]) -> Iterator[Violation]:
    where = f"{statement.property_path}.Resource"
    for action in actions:
        if resources and not any(_takes(action, one) for one in resources):
            kinds = ", ".join(f"{kind.name} ({kind.arns[0]})" for kind in action.resource_types) or "none, so `*`"
            yield Violation(
                statement.logical_id, f"got {action.name} on {', '.join(resources)}; it takes {kinds}", where
            )
    for resource in resources:
        if actions and not any(_takes(action, resource) for action in actions):
            names = ", ".join(action.name for action in actions)
            yield Violation(statement.logical_id, f"got {resource}, which none of {names} takes", where)


def _takes(action: Action, resource: str) -> bool:
    return resource == "*" or any(fits(resource, kind) for kind in action.resource_types)


def _is_judged(resource: str) -> bool:
    return resource == "*" or (resource.startswith("arn:") and not is_unknown(resource.rpartition(":")[0]))
