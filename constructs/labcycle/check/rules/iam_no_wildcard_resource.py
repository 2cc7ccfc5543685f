"""An action is allowed on all resources only where it takes none."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import is_wild
from labcycle.check.rules import Violation
from labcycle.check.service_authorization import find_action
from labcycle.check.statements import Kind, Statement, statements
from labcycle.check.template import Template

WHY = "On all resources means on those of everybody else in the account too, and on all that are made later."
MEND = (
    "Name the ARNs, with a wildcard at most in the last part of one; keep apart in a statement what takes no resource."
)


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template, Kind.IDENTITY, Kind.RESOURCE):
        if not statement.allows:
            continue
        if statement.not_resources:
            yield Violation(
                statement.logical_id,
                f"got all resources but {', '.join(statement.not_resources)}; allowed are ARNs in Resource",
                f"{statement.property_path}.NotResource",
            )
        wide = [one for one in statement.resources if _is_wide(one)]
        if statement.kind is Kind.RESOURCE:  # `*` in the policy of a key or repository is that key or repository
            wide = [one for one in wide if one != "*"]
        scopable = list(_scopable(statement)) if wide else []
        if scopable:
            yield Violation(
                statement.logical_id,
                f"got {', '.join(wide)} for what takes a resource: {'; '.join(scopable)}",
                f"{statement.property_path}.Resource",
            )


def _is_wide(resource: str) -> bool:
    """Whether it is every resource of an account, of a service, or of an account's service."""
    if not resource.startswith("arn:"):
        return is_wild(resource)
    parts = resource.split(":", 5)
    return len(parts) < 6 or is_wild(parts[2]) or is_wild(parts[4]) or not parts[5].strip("*?/:")


def _scopable(statement: Statement) -> Iterator[str]:
    for name in statement.actions:
        action = find_action(name)
        if is_wild(name):
            yield f"{name} (name its actions first)"
        elif action and not action.takes_none:
            yield f"{action.name} ({', '.join(one.name for one in action.resource_types)})"
