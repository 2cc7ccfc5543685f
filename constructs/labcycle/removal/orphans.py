"""What is deployed, or left, of teams that have no file. Nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labcycle.config.loader import SUFFIXES
from labcycle.errors import LabcycleError

from .account import Account
from .belonging import TARGET, DeployedStack, TaggedResource, deployed_stacks, tagged_resources
from .keys import waits_until
from .presence import is_there


@dataclass(frozen=True)
class Orphans:
    """What a team without a file has.

    Parameters
    ----------
    team
        Its name; empty for stacks whose tags do not say whose they are.
    stacks
        Those that are deployed.
    left
        Where there is no stack: what stayed, each with a remark or an empty text.
    """

    team: str
    stacks: tuple[DeployedStack, ...]
    left: tuple[tuple[TaggedResource, str], ...]


def teams_with_file(folder: Path) -> set[str]:
    """The teams that have a file, also one with mistakes in it: the file's name is the team's.

    Raises
    ------
    LabcycleError
        If there is no such folder; everything would look like an orphan.
    """
    if not folder.is_dir():
        raise LabcycleError(
            f"{folder}: there is no such folder, so that every team would count as removed. Name the folder with the team files"
        )
    return {file.stem for file in folder.iterdir() if file.suffix in SUFFIXES}


def orphans(account: Account, known: set[str]) -> list[Orphans]:
    """What there is of teams that are not `known`, by team."""
    stacks = [stack for stack in deployed_stacks(account) if TARGET not in stack.tags and stack.team not in known]
    resources = [one for one in tagged_resources(account) if one.team not in known]
    found = []
    for team in sorted({stack.team for stack in stacks} | {one.team for one in resources}):
        of_team = tuple(stack for stack in stacks if stack.team == team)
        left = [] if of_team else [one for one in resources if one.team == team and is_there(account, one)]
        if of_team or left:
            found.append(Orphans(team, of_team, tuple((one, waits_until(account, one)) for one in left)))
    return found
