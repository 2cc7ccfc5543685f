"""A role is passed by its name, and to a named service."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import is_wild
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, Statement, statements
from labcycle.check.template import Template

WHY = (
    "Who may pass any role to any service can let a service of their choice work with the rights of the strongest role."
)
MEND = "Name the ARN of each role, and the services in a condition StringEquals on iam:PassedToService."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for statement in statements(estate, template, Kind.IDENTITY):
        if statement.allows and statement.covers_action("iam:PassRole"):
            yield from _loose(statement)


def _loose(statement: Statement) -> Iterator[Violation]:
    wild = [one for one in statement.resources if is_wild(one)] or [f"all but {one}" for one in statement.not_resources]
    if wild:
        yield Violation(
            statement.logical_id,
            f"got iam:PassRole on {', '.join(wild)}; allowed are ARNs of roles without wildcards",
            f"{statement.property_path}.Resource",
        )
    services = [one for one in statement.sources if one.key.lower() == "iam:passedtoservice"]
    if not any(not is_wild(value) for one in services for value in one.values):
        yield Violation(
            statement.logical_id,
            "got iam:PassRole without a condition that names the services; allowed is StringEquals on iam:PassedToService",
            f"{statement.property_path}.Condition",
        )
