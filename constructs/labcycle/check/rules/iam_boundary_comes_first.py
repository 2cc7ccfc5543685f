"""A permissions boundary is deployed before the roles that name it."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.references import imports, referenced
from labcycle.check.roles import Role, roles
from labcycle.check.rules import Violation
from labcycle.check.template import Template
from labcycle.check.values import listed

WHY = "A boundary that is named by its name makes no dependency: the first deployment fails, or now and then does not."
MEND = "Put the boundary into a stack of its own on which the role's stack depends, or refer to it with Ref."


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for role in roles(estate):
        if role.template is template and role.boundary is not None and not _comes_first(role, estate):
            brings = role.boundary.template
            where = (
                "the same stack, without a reference" if brings is template else f"{brings.name}, which may come later"
            )
            yield Violation(
                role.logical_id,
                f"got the boundary {role.boundary_arn} of {where}; allowed is one that is surely deployed before",
                "Properties.PermissionsBoundary",
            )


def _comes_first(role: Role, estate: Estate) -> bool:
    assert role.boundary is not None
    brings = role.boundary.template
    named = role.template.properties(role.logical_id).get("PermissionsBoundary")
    if brings is role.template:
        waits_for = listed(role.template.resource(role.logical_id).get("DependsOn"))
        return role.boundary.logical_id in (*referenced(named), *waits_for)
    return any(imports(named)) or brings.name in _before(role.template, estate)


def _before(template: Template, estate: Estate) -> set[str]:
    """Names of all stacks that are deployed before this one, however indirectly."""
    after = {(one.name, one.account, one.region): one.after for one in estate.templates}
    found: set[str] = set()
    waiting = set(template.after)
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= after.get((name, template.account, template.region), frozenset()) - found
    return found
