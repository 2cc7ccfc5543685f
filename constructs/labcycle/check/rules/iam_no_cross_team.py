"""No policy of a team reaches what is another team's."""

from __future__ import annotations

import functools
import re
from bisect import bisect_left
from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.iam.patterns import matches
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, statements
from labcycle.check.template import Template

WHY = "Teams are cells: what one of them can reach of another is a leak, whether anybody meant it or not."
MEND = "Name the team's own resources, with the whole prefix `labcycle-<team>-` or `/labcycle/team/<team>/` before a wildcard."

_TEAM = "labcycle:team"
_PREFIXES = ("labcycle-{}-", "parameter/labcycle/team/{}/", "role/labcycle/{}/", "vendedlogs/labcycle/{}/")
_BEGINNING = re.compile(r"(?<![A-Za-z0-9-])(?=labcycle-)|(?=(parameter|role|vendedlogs)/labcycle)")

_WILD = re.compile(r"[*?]")


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    own = template.tags.get(_TEAM)
    if own is None or not _teams(estate).keys() - {own}:
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
def _teams(estate: Estate) -> dict[str, set[str]]:
    """The teams, each with the accounts that it has stacks in."""
    found: dict[str, set[str]] = {}
    for template in estate.templates:
        if _TEAM in template.tags:
            found.setdefault(template.tags[_TEAM], set()).add(estate.account(template))
    return found


def _whose(reached: str, own: str, estate: Estate) -> str:
    """The other team of which something is reached; empty if there is none."""
    beginnings = _beginnings(reached)
    account = reached.split(":", 5)[4] if reached.count(":") >= 5 else ""
    for team in sorted(_teams(estate).keys() - {own}) if beginnings else ():
        if account.isdigit() and account not in _teams(estate)[team]:
            continue  # whatever it is called there, it is not that team's
        for prefix in _PREFIXES:
            theirs, ours = prefix.format(team), prefix.format(own)
            # A team may be called as another one in another account, and more: what bears its whole name is its own.
            if any(
                _may_be(theirs, text, wild) and not (text.startswith(ours) and ours.startswith(theirs))
                for text, wild in beginnings
            ):
                return team
    arns, teams = _arns(estate)
    literal = _WILD.split(reached, maxsplit=1)[0]
    for n in range(bisect_left(arns, literal), len(arns)):
        if not arns[n].startswith(literal):
            break
        if teams[n] != own and matches(reached, arns[n]):
            return teams[n]
    return ""


def _beginnings(reached: str) -> list[tuple[str, bool]]:
    """What begins as names of teams do, up to the first wildcard, and whether there is one."""
    found = []
    for place in _BEGINNING.finditer(reached):
        literal, *rest = _WILD.split(reached[place.start() :], maxsplit=1)
        found.append((literal, bool(rest)))
    return found


def _may_be(prefix: str, literal: str, wild: bool) -> bool:
    """Whether some name begins with the prefix: it stands there, or the wildcard comes before it ends."""
    return literal.startswith(prefix) or (wild and prefix.startswith(literal))


@functools.lru_cache(maxsize=2)
def _arns(estate: Estate) -> tuple[list[str], list[str]]:
    """ARNs of all that teams have, in order, and the team of each."""
    found = [
        (estate.arn(template, logical_id), template.tags[_TEAM])
        for template, logical_id, _ in estate.resources()
        if _TEAM in template.tags
    ]
    known = sorted(one for one in found if one[0].startswith("arn:"))
    return [arn for arn, _ in known], [team for _, team in known]
