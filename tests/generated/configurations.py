"""Whole configurations of generated files: several targets, several teams on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from random import Random

from hypothesis.strategies import SearchStrategy
from pydantic import BaseModel

from labcycle.config import Team
from tests.generated.locks import write_locks
from tests.generated.strategies import (
    ROTATED,
    STYLES,
    Data,
    fit_together,
    mappings,
    rotate,
    run_by_turns,
    sample,
    shuffled,
    spread,
    targets,
    teams_in,
    without_contradictions,
    written,
)

TARGETS, TEAMS_OF_TARGET = 5, 5


@dataclass(frozen=True)
class Configuration:
    """What a configuration folder holds."""

    number: int
    targets: tuple[Data, ...]
    teams: tuple[Data, ...]

    @property
    def leaver(self) -> Data:
        """A team that is not alone in its target."""
        return self.teams[self.number % len(self.teams)]

    def written_to(self, folder: Path) -> Path:
        """The folder, with a file for each team and target."""
        return _written(folder, self, self.teams, shuffle=False)

    def rewritten_to(self, folder: Path) -> Path:
        """The folder by another hand: keys in another order, files in another style, and the leaver's file deleted."""
        return _written(folder, self, [team for team in self.teams if team is not self.leaver], shuffle=True)


@cache
def configuration(number: int) -> Configuration:
    """The same configuration for the same number."""
    homes: list[Data] = []
    for target in _more(targets(), 200 + number):
        network = _network(target)
        if network not in map(_network, homes) and target["target"] not in [one["target"] for one in homes]:
            homes.append(target)
        if len(homes) == TARGETS:
            break
    placed: list[tuple[Data, str]] = []
    for place, target in enumerate(homes, 1):
        for team in _more(teams_in(target), TARGETS * number + place):
            if fit_together(team, target["account"], placed):
                placed.append((team, target["account"]))
            if len(placed) == TEAMS_OF_TARGET * place:
                break
    teams = tuple(team for team, _ in placed)
    for model in ROTATED:
        holders = [holder for team in teams for of, holder in mappings(team, Team) if of is model]
        for place, holder in enumerate(holders):
            rotate(holder, model, 3 * number + place)
    regions = {home["target"]: home["region"] for home in homes}
    turns: Counter[type[BaseModel]] = Counter()
    for team in teams:
        for of, holder in mappings(team, Team):
            run_by_turns(holder, of, regions[team["target"]], number + turns[of])
            turns[of] += 1
        without_contradictions(team)
        spread(team)
    return Configuration(number, tuple(homes), teams)


def _more(strategy: SearchStrategy[Data], number: int) -> Iterator[Data]:
    """Examples without end, the same for the same number: names that clash are passed over."""
    for attempt in count():
        yield from sample(strategy, TEAMS_OF_TARGET + 1, number + 10_000 * attempt)


def _network(target: Data) -> tuple[str, str, str]:
    return target["account"], target["region"], target["network"]["name"]


def _written(
    folder: Path, configuration: Configuration, teams: list[Data] | tuple[Data, ...], *, shuffle: bool
) -> Path:
    random = Random(configuration.number + 1000 * shuffle)
    for kind, files in (("targets", configuration.targets), ("teams", teams)):
        (folder / kind).mkdir(parents=True)
        for data in files:
            text = written(shuffled(data, random) if shuffle else data, random.choice(STYLES))
            (folder / kind / f"{data[kind.removesuffix('s')]}.yaml").write_text(text, encoding="utf-8")
    write_locks(folder / "teams")
    return folder
