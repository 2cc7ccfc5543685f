"""What was proved of the isolation of teams, and what was not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

Pair = tuple[str, str]


@dataclass(frozen=True, order=True)
class Break:
    """Something that one team could do to what is another's.

    Parameters
    ----------
    team, owner
        Who could, and whose it is.
    actor
        Name of the role, or the security group that could be reached.
    action
        Of IAM, or `connect`.
    because
        The statement or rule that lets it.
    """

    team: str
    owner: str
    actor: str
    action: str
    resource: str
    because: str

    def __str__(self) -> str:
        return f"{self.team} -> {self.owner}: {self.actor} could {self.action} on {self.resource}: {self.because}"


@dataclass(frozen=True, order=True)
class Exempt:
    """An action that some roles have and that takes no resource. No reason: it is not known to be harmless."""

    action: str
    roles: tuple[str, ...]
    reason: str


@dataclass(frozen=True, order=True)
class WayOut:
    """Whether a team's workspaces are kept from writing to buckets that are not of the account."""

    team: str
    is_closed: bool
    why: str


@dataclass(frozen=True)
class IsolationReport:
    """The outcome for all ordered pairs of teams.

    Parameters
    ----------
    checks
        How many requests were held against the policies, by pair and service; `network` counts rules of security groups.
    uncovered
        Resources and policies of which nothing could be said.
    """

    teams: tuple[str, ...]
    checks: Mapping[Pair, Counter[str]]
    breaks: tuple[Break, ...]
    exempt: tuple[Exempt, ...]
    ways_out: tuple[WayOut, ...]
    uncovered: tuple[str, ...] = field(default=())

    @property
    def holds(self) -> bool:
        """Whether every pair is isolated: nothing breaks it, and nothing was left open."""
        return not self.breaks and not self.uncovered and all(one.reason for one in self.exempt)

    def as_table(self) -> str:
        """The report as text: pairs and services with the number of checks and of what is allowed, then the rest."""
        services = sorted({service for counted in self.checks.values() for service in counted})
        rows = [["team -> team", *services, "all"]]
        for pair, counted in sorted(self.checks.items()):
            allowed = Counter(_service(one.action) for one in self.breaks if (one.team, one.owner) == pair)
            cells = [f"{allowed[service]}/{counted[service]}" for service in services]
            rows.append([" -> ".join(pair), *cells, f"{allowed.total()}/{counted.total()}"])
        lines = ["allowed / checked", "", *_aligned(rows), ""]
        lines += [f"BREAK {one}" for one in self.breaks]
        lines += [f"NOT COVERED {one}" for one in self.uncovered]
        lines += ["Takes no resource, so that IAM cannot keep it to a team:"] if self.exempt else []
        lines += [
            f"  {one.action} ({len(one.roles)} roles): {one.reason or 'NOT KNOWN TO BE HARMLESS'}"
            for one in self.exempt
        ]
        lines += ["Writing to a bucket outside, from a workspace:"] if self.ways_out else []
        lines += [f"  {one.team}: {'refused' if one.is_closed else 'not claimed'}: {one.why}" for one in self.ways_out]
        return "\n".join(lines) + "\n"


def _service(action: str) -> str:
    return action.partition(":")[0] if ":" in action else "network"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
