"""Walk the templates of a team, or of a target, and add up what they cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from labcycle.check.estate import Estate
from labcycle.check.template import Template
from labcycle.config import names
from labcycle.errors import LabcycleError

from .egress import Choice, choices
from .kinds import PRICED, Cost, is_known
from .prices import NoPrice, Prices
from .resource import Resource
from .scheduled import started_by, times_a_month, training_of
from .uses import Use, uses

TEAM, TARGET, MODEL = "labcycle:team", "labcycle:target", "labcycle:model"  # tags of stacks
_T = TypeVar("_T")
_SCHEDULES = ("AWS::Events::Rule", "AWS::Scheduler::Schedule")


@dataclass(frozen=True)
class Item:
    """What a resource costs in a month though nobody asks."""

    part: str
    logical_id: str
    type: str
    cost: Cost


@dataclass(frozen=True)
class PartUse:
    """A use of what is in a part."""

    part: str
    use: Use


@dataclass(frozen=True)
class Work:
    """What a schedule begins that is more than to look whether there is something to do."""

    part: str
    what: str
    times_a_month: float
    usd: float

    @property
    def usd_a_month(self) -> float:
        return self.times_a_month * self.usd


@dataclass(frozen=True)
class Unpriced:
    """Resources that are in no sum, or whose use has no price."""

    part: str
    type: str
    count: int
    why: str


@dataclass(frozen=True)
class Estimate:
    """What a team or a target costs.

    Parameters
    ----------
    parts
        Names of its stacks, without what all of them have in common.
    free
        Resource types that cost nothing while nobody asks, each with how many there are.
    """

    name: str
    region: str
    parts: tuple[str, ...]
    models: tuple[str, ...]
    items: tuple[Item, ...]
    uses: tuple[PartUse, ...]
    works: tuple[Work, ...]
    unpriced: tuple[Unpriced, ...]
    free: Mapping[str, int]
    prices: Prices = field(compare=False)

    @property
    def usd(self) -> float:
        """A month in which nobody asks."""
        return sum(item.cost.usd for item in self.items)

    @property
    def later_usd(self) -> float:
        """The same once all that gets dearer by itself has."""
        return self.usd + sum(item.cost.later_usd for item in self.items)

    def by_part(self) -> dict[str, float]:
        return {part: sum(item.cost.usd for item in self.items if item.part == part) for part in self.parts}

    def by_what(self, part: str = "") -> dict[str, tuple[float, float]]:
        """How many there are and what they cost, the dearest first; of one part, or of all."""
        found: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
        for item in self.items:
            if part in ("", item.part):
                count, usd = found[item.cost.what]
                found[item.cost.what] = (count + item.cost.count, usd + item.cost.usd)
        return dict(sorted(found.items(), key=lambda one: -one[1][1]))


def teams(estate: Estate) -> list[str]:
    """Names of all teams, by the tags of their stacks."""
    return sorted({template.tags[TEAM] for template in estate.templates if TEAM in template.tags})


def team_estimate(estate: Estate, team: str, own: Mapping[str, float]) -> Estimate:
    """What a team's own stacks cost.

    Raises
    ------
    LabcycleError
        If there is no stack of that team.
    """
    stacks = [template for template in estate.templates if template.tags.get(TEAM) == team]
    if not stacks:
        known = ", ".join(teams(estate)) or f"none: no stack has the tag {TEAM}"
        raise LabcycleError(f"labcycle cost: got {team}; allowed the teams of the templates: {known}. Name one of them")
    return _estimate(estate, team, stacks, f"{names.team_stage(team)}-", own)


def target_estimates(
    estate: Estate, own: Mapping[str, float], team: str = ""
) -> list[tuple[Estimate, tuple[Choice, ...]]]:
    """What each target costs, which its teams share, and what its network would cost otherwise.

    Parameters
    ----------
    team
        Only what is in its account and region; absent: all.
    """
    places = {(one.account, one.region) for one in estate.templates if team in ("", one.tags.get(TEAM))}
    found: dict[str, list[Template]] = defaultdict(list)
    for template in estate.templates:
        if TARGET in template.tags and (template.account, template.region) in places:
            found[template.tags[TARGET]].append(template)
    estimates = [
        (_estimate(estate, target, stacks, f"{names.target_stage(target)}-", own), stacks)
        for target, stacks in sorted(found.items())
    ]
    return [(estimate, choices(estate, stacks, estimate.prices)) for estimate, stacks in estimates]


def _estimate(estate: Estate, name: str, stacks: Sequence[Template], prefix: str, own: Mapping[str, float]) -> Estimate:
    region = estate.region(stacks[0])
    prices = Prices(region, own)
    items: list[Item] = []
    found: list[PartUse] = []
    works: list[Work] = []
    unpriced: Counter[tuple[str, str, str]] = Counter()
    free: Counter[str] = Counter()
    for stack in stacks:
        part = stack.name.removeprefix(prefix)
        for resource in _made(estate, stack, prices):
            kind = resource.type
            costs, why = _told(partial(_costs, resource))
            if why:
                unpriced[part, kind, why] += 1
                continue
            items += (Item(part, resource.logical_id, kind, cost) for cost in costs)
            free[kind] += not costs
            used, why = _told(partial(uses, resource))
            found += (PartUse(part, use) for use in used)
            begun, why_not = _told(partial(_works, part, resource))
            works += begun
            for reason in filter(None, (why, why_not)):
                unpriced[part, kind, f"of its use: {reason}"] += 1
    return Estimate(
        name=name,
        region=region,
        parts=tuple(stack.name.removeprefix(prefix) for stack in stacks),
        models=tuple(sorted({stack.tags[MODEL] for stack in stacks if MODEL in stack.tags})),
        items=tuple(items),
        uses=tuple(_each_once(found)),
        works=tuple(works),
        unpriced=tuple(Unpriced(part, kind, count, why) for (part, kind, why), count in sorted(unpriced.items())),
        free={kind: count for kind, count in sorted(free.items()) if count},
        prices=prices,
    )


def _made(estate: Estate, stack: Template, prices: Prices) -> Iterator[Resource]:
    """The resources of a stack whose condition holds."""
    for logical_id, resource in stack.resources():
        condition = resource.get("Condition")
        if condition is None or estate.value(stack, {"Condition": str(condition)}):
            yield Resource(estate, stack, logical_id, prices)


def _told(tell: Callable[[], Iterable[_T]]) -> tuple[list[_T], str]:
    """All that is told, or nothing and why."""
    try:
        return list(tell()), ""
    except NoPrice as error:
        return [], str(error)
    except (AttributeError, KeyError, TypeError, ValueError):  # malformed, which `labcycle check` says
        return [], "its properties cannot be read; labcycle check tells why"


def _costs(resource: Resource) -> Iterator[Cost]:
    if not is_known(resource.type):
        raise NoPrice("it is not in the table of resource types")
    if resource.type in PRICED:
        yield from (cost for cost in PRICED[resource.type](resource) if cost.count)


def _works(part: str, schedule: Resource) -> Iterator[Work]:
    times = times_a_month(schedule) if schedule.type in _SCHEDULES else 0.0
    if not times:
        return
    for machine in started_by(schedule):
        training = training_of(machine) if machine.type == "AWS::StepFunctions::StateMachine" else None
        if training is not None:
            yield Work(part, f"a training on {training.instance_type}", times, training.usd(machine))


def _each_once(found: Iterable[PartUse]) -> Iterator[PartUse]:
    """What is the same in all parts is told of the first."""
    seen = set()
    for one in found:
        told = ("" if one.use.anywhere else one.part, one.use.what, one.use.usd)
        if told not in seen:
            seen.add(told)
            yield one
