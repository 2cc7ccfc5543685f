"""What costs are, as people read it on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from labcycle.client.tables import table
from labcycle.config.price_list import AS_OF, REGION

from .egress import Choice
from .estimate import Estimate

_WIDTH = 16
_SMALL = 0.01  # of a price, below which a part of it is told to programs alone
_EIGHTHS = " ▏▎▍▌▋▊▉"
_PART_HEADINGS = ("part", "USD a month", "", "of which")
_KIND_HEADINGS = ("what is paid", "count", "USD a month", "")
_USE_HEADINGS = ("use", "USD", "of which", "in")
_TEAM_HEADINGS = ("team", "USD a month", "", "models", "region", "not priced")
_TARGET_HEADINGS = ("target", "USD a month", "egress", "none", "nat", "endpoints", "not priced")
_EGRESS_HEADINGS = ("egress", "USD a month", "", "")
NOT_COUNTED = "not counted: what is stored, data that leaves AWS, requests of KMS, taxes; free tiers and discounts are not taken off"


def team(estimate: Estimate, targets: Sequence[tuple[Estimate, Sequence[Choice]]]) -> RenderableType:
    """All of one team, and apart what it shares with others."""
    return Group(
        Text.assemble((estimate.name, "bold"), f": {cents(estimate.usd)} USD a month while nobody uses it"),
        _parts(estimate),
        _kinds(estimate),
        _uses(estimate),
        *(_line(said, tone) for said, tone in _remarks(estimate)),
        *(part for target, choices in targets for part in _target(target, choices)),
        *(_line(said, "dim") for said in _prices([estimate, *(target for target, _ in targets)])),
    )


def all_teams(estimates: Sequence[Estimate], targets: Sequence[tuple[Estimate, Sequence[Choice]]]) -> RenderableType:
    """A line a team, and what each target costs."""
    top = max((one.usd for one in estimates), default=0.0)
    rows = [
        (
            one.name,
            cents(one.usd),
            bar(one.usd, top),
            f"{len(one.models)}",
            one.region,
            _types(one),
        )
        for one in estimates
    ]
    return Group(
        table("teams, while nobody uses them", _TEAM_HEADINGS, rows),
        _line(f"together {cents(sum(one.usd for one in estimates))} USD a month; of one team: labcycle cost TEAM", ""),
        _targets(targets),
        *(_line(said, "dim") for said in _prices([*estimates, *(target for target, _ in targets)])),
    )


def bar(value: float, top: float) -> str:
    """`value` as a share of `top`, by eighths of a character."""
    eighths = round(value / top * _WIDTH * 8) if top > 0 else 0
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).strip()


def cents(usd: float) -> str:
    return "<0.01" if 0 < usd < 0.005 else f"{usd:,.2f}"


def digits(usd: float) -> str:
    """Cents, and of what is less than ten dollars at least three digits that count."""
    places = 2 if usd <= 0 or usd >= 10 else max(2, 2 - math.floor(math.log10(usd)))
    whole, _, fraction = f"{usd:,.{places}f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"


def _parts(estimate: Estimate) -> RenderableType:
    by_part = estimate.by_part()
    top = max(by_part.values(), default=0.0)
    rows = [
        (part, cents(usd), bar(usd, top), _of_which({what: of for what, (_, of) in estimate.by_what(part).items()}))
        for part, usd in sorted(by_part.items(), key=lambda one: -one[1])
    ]
    return table("by part", _PART_HEADINGS, rows)


def _kinds(estimate: Estimate) -> RenderableType:
    found = estimate.by_what()
    top = max((usd for _, usd in found.values()), default=0.0)
    rows = [(what, f"{count:,.4g}", cents(usd), bar(usd, top)) for what, (count, usd) in found.items()]
    return table("by what is paid", _KIND_HEADINGS, rows)


def _uses(estimate: Estimate) -> RenderableType:
    rows = [
        (
            one.use.what,
            f"{'at most ' if one.use.at_most else ''}{digits(one.use.usd)}",
            _of_which(one.use.of) if len(one.use.of) > 1 else "",
            one.part,
        )
        for one in estimate.uses
    ]
    return table("when it is used", _USE_HEADINGS, rows)


def _of_which(parts: Mapping[str, float]) -> str:
    least = _SMALL * sum(parts.values())
    return ", ".join(
        f"{what} {digits(usd)}" for what, usd in sorted(parts.items(), key=lambda one: -one[1]) if usd > least
    )


def _remarks(estimate: Estimate) -> Iterator[tuple[str, str]]:
    if estimate.later_usd > estimate.usd:
        told = "after two years where nothing else is set: the first rotation and the second make a key dearer, others do not"
        yield f"{cents(estimate.later_usd)} USD once its KMS keys were rotated twice, {told}", ""
    for work in estimate.works:
        how_often = f"{work.times_a_month:.3g} times a month, at most {cents(work.usd_a_month)} USD a month"
        yield f"besides, {work.what} by schedule: {how_often} ({work.part})", ""
    free = f"{sum(estimate.free.values()):,} resources of {len(estimate.free)} types"
    yield f"free while nobody uses them: {free}, which --json lists", "dim"
    yield from _missing(estimate)


def _missing(estimate: Estimate) -> Iterator[tuple[str, str]]:
    for one in estimate.unpriced:
        yield f"not priced: {one.type}, {one.count} in {one.part}: {one.why}", "yellow"


def _targets(targets: Sequence[tuple[Estimate, Sequence[Choice]]]) -> RenderableType:
    """A line each, with what its network would cost otherwise."""
    rows = []
    for target, choices in targets:
        by_egress = {choice.egress: cents(choice.usd) for choice in choices}
        made = next((choice.egress for choice in choices if choice.is_made), "made elsewhere")
        others = [by_egress.get(name, "") for name in ("none", "nat", "endpoints")]
        rows.append((target.name, cents(target.usd), made, *others, _types(target)))
    return table("targets, shared by their teams", _TARGET_HEADINGS, rows)


def _types(estimate: Estimate) -> str:
    return ", ".join(sorted({of.type for of in estimate.unpriced}))


def _target(target: Estimate, choices: Sequence[Choice]) -> Iterator[RenderableType]:
    yield Text.assemble(
        ("target ", ""), (target.name, "bold"), f", shared by its teams: {cents(target.usd)} USD a month"
    )
    if choices:
        top = max(choice.usd for choice in choices)
        rows = [
            (
                f"{choice.egress}{' (this one)' if choice.is_made else ''}",
                cents(choice.usd),
                bar(choice.usd, top),
                choice.made_of + ("" if choice.offered else "; not yet a choice of target files"),
            )
            for choice in choices
        ]
        yield table("", _EGRESS_HEADINGS, rows)
    for said, tone in _missing(target):
        yield _line(said, tone)


def _prices(estimates: Sequence[Estimate]) -> Iterator[str]:
    yield NOT_COUNTED
    yield "what is assumed of a call, a run or a batch: docs/cost.md, or --json"
    by_region: dict[str, set[str]] = {}
    own: set[str] = set()
    for one in estimates:
        by_region.setdefault(one.region, set()).update(one.prices.stand_ins)
        own |= set(one.prices.own)
    for region, keys in by_region.items():
        lacking = f"; of {REGION} where {region}'s are not known: {', '.join(sorted(keys))}" if keys else ""
        yield f"public prices of {AS_OF} for {region}, an estimate{lacking}"
    if own:
        yield f"your own figures: {', '.join(sorted(own))}"


def _line(text: str, tone: str) -> Text:
    return Text(text, tone)
