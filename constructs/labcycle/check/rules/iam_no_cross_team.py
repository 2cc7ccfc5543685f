"""No policy of a team reaches what is another team's."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, as_regex, is_wild, statements
from labcycle.check.template import Template

WHY = "Teams are cells: what one of them can reach of another is a leak, whether anybody meant it or not."
MEND = "Name the team's own resources, with the whole prefix `labcycle-<team>-` or `/labcycle/team/<team>/` before a wildcard."

_TEAM = "labcycle:team"
_PREFIXES = ("labcycle-{}-", "parameter/labcycle/team/{}/", "role/labcycle/{}/", "vendedlogs/labcycle/{}/")
_BEGINNING = re.compile(r"(?<![A-Za-z0-9-])(?=labcycle-)|(?=(parameter|role|vendedlogs)/labcycle)")


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    own = template.tags.get(_TEAM)
    others = _teams(estate) - {own}
    if own is None or not others:
        return
    for statement in statements(estate, template, Kind.IDENTITY, Kind.RESOURCE, Kind.TRUST):
        if not statement.allows:
            continue
        named = [one for one in statement.resources if one != "*"]
        named += [one for some in statement.principals.values() for one in some if one != "*"]
        for one in named:
            whose = _whose(one, own, estate)
            if whose:
                yield Violation(
                    statement.logical_id,
                    f"got {one} in a stack of the team {own}, which reaches what is of the team {whose}",
                    statement.property_path,
                )


@functools.lru_cache(maxsize=2)
def _teams(estate: Estate) -> frozenset[str]:
    return frozenset(template.tags[_TEAM] for template in estate.templates if _TEAM in template.tags)


def _whose(reached: str, own: str, estate: Estate) -> str:
    """The other team of which something is reached; empty if there is none."""
    for team in sorted(_teams(estate) - {own}):
        if any(_may_begin(reached, prefix.format(team)) for prefix in _PREFIXES):
            return team
    if is_wild(reached):
        found = _pattern(reached).search(_arns_of_others(estate, own))
        return found.group("team") if found else ""
    found_resource = estate.find(reached)
    team = found_resource[0].tags.get(_TEAM, own) if found_resource else own
    return "" if team == own else team


def _may_begin(reached: str, prefix: str) -> bool:
    """Whether some name of what is reached begins with the prefix: it stands there, or a wildcard comes before it ends."""
    for place in _BEGINNING.finditer(reached):
        literal, wild, _ = re.split(r"([*?]|$)", reached[place.start() :], maxsplit=1)
        if literal.startswith(prefix) or (wild and prefix.startswith(literal)):
            return True
    return False


@functools.lru_cache(maxsize=100)
def _arns_of_others(estate: Estate, own: str) -> str:
    """ARNs of all that the other teams have, one a line after the team's name."""
    lines = []
    for template, logical_id, _ in estate.resources():
        team = template.tags.get(_TEAM, own)
        arn = estate.arn(template, logical_id) if team != own else ""
        if arn.startswith("arn:"):
            lines.append(f"{team} {arn}")
    return "\n".join(lines)


@functools.lru_cache(maxsize=10_000)
def _pattern(reached: str) -> re.Pattern[str]:
    inner = as_regex(reached).pattern.replace(".*", r"[^\n]*").replace("(?s:.)", r"[^\n]")
    return re.compile(rf"^(?P<team>\S+) {inner}$", re.MULTILINE)
