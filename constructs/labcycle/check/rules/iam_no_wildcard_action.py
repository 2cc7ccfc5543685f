"""No policy allows an action by a wildcard."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import is_wild
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, statements
from labcycle.check.template import Template

WHY = "A wildcard allows more than is used, and also every action that AWS adds later."
MEND = "Name the actions that are really called, one by one."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template, Kind.IDENTITY, Kind.RESOURCE, Kind.TRUST):
        if not statement.allows:
            continue
        wild = [action for action in statement.actions if is_wild(action)]
        if wild:
            yield Violation(
                statement.logical_id,
                f"got the action {', '.join(wild)}; allowed are whole names of actions",
                f"{statement.property_path}.Action",
            )
        if statement.not_actions:
            yield Violation(
                statement.logical_id,
                f"got all actions but {', '.join(statement.not_actions)}; allowed are whole names of actions",
                f"{statement.property_path}.NotAction",
            )
