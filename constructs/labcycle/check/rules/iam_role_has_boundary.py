"""Where one role of a team or stack has a permissions boundary, all have one."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.roles import roles
from labcycle.check.rules import Violation
from labcycle.check.template import Template

WHY = "A single role without the boundary is a way around it for all who can use that role."
MEND = "Set the boundary for the whole stage, `Stage(permissions_boundary=...)`, not for each role."

_TEAM = "labcycle:team"


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    named = _boundaries(estate).get(_cell(template))
    for logical_id, _ in template.resources("AWS::IAM::Role"):
        if named and "PermissionsBoundary" not in template.properties(logical_id):
            yield Violation(logical_id, f"got a role without boundary; others beside it have {named}", "Properties")


@functools.lru_cache(maxsize=2)
def _boundaries(estate: Estate) -> dict[tuple[str, str], str]:
    """By team, or by stack where there is no team: a boundary that there is."""
    found: dict[tuple[str, str], str] = {}
    for template, logical_id, _ in estate.resources("AWS::IAM::ManagedPolicy"):
        name = estate.name(template, logical_id)
        if _TEAM in template.tags and name.lower().endswith("boundary"):
            found.setdefault(_cell(template), name)
    for role in roles(estate):
        if role.boundary_arn:
            found.setdefault(_cell(role.template), role.boundary_arn.rpartition("/")[2])
    return found


def _cell(template: Template) -> tuple[str, str]:
    return ("team", template.tags[_TEAM]) if _TEAM in template.tags else ("stack", template.name)
