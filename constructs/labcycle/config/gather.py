"""Load whatever files and folders a user names, each as what it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath

from .document import read
from .loader import SUFFIXES, file_of, load_target, load_team, unknown_target
from .problem import ConfigError, Problem
from .target import Target
from .team import Team
from .together import problems_among, problems_together

_TARGET_KEYS = frozenset({"account", "region", "zones", "network", "sign_in"})


def load_paths(paths: Iterable[FilePath]) -> tuple[list[Team], dict[str, Target]]:
    """Teams and targets in these files and folders, folders with all below them.

    A file is a target when its keys are those of a target, else a team. A team is checked together with its target where
    that is among the files, or beside them in `../targets`; where that folder has others and not this one, it is refused.

    Raises
    ------
    ConfigError
        With every problem of every file.
    """
    problems: list[Problem] = []
    teams: list[Team] = []
    targets: list[Target] = []
    for file in _files(paths, problems):
        try:
            if _is_target(file):
                targets.append(load_target(file))
            else:
                teams.append(load_team(file))
        except ConfigError as error:
            problems.extend(error.problems)
    by_name = {target.target: target for target in targets}
    for team in teams:
        folder = FilePath(team.origin.file).parent.parent / "targets"
        beside = {file.stem for file in folder.glob("*") if file.suffix in SUFFIXES}
        if team.target not in by_name and beside:
            try:
                its_file = file_of(folder, team.target)
                if its_file:
                    by_name[team.target] = load_target(its_file)
                else:
                    problems.append(unknown_target(team, folder, beside))
            except ConfigError as error:
                problems.extend(error.problems)
        if team.target in by_name:
            problems.extend(problems_together(team, by_name[team.target]))
    problems.extend(problems_among(teams, by_name, targets))
    if problems:
        raise ConfigError(problems)
    return teams, {target.target: target for target in targets}


def _files(paths: Iterable[FilePath], problems: list[Problem]) -> list[FilePath]:
    found: dict[FilePath, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = sorted(file for file in path.rglob("*") if file.suffix in SUFFIXES and not file.is_dir())
        if not inside:
            problems.append(Problem("there is no .yaml file in this folder. Name another folder", "", str(path)))
        found.update(dict.fromkeys(inside))
    return list(found)


def _is_target(file: FilePath) -> bool:
    data = read(file).data
    return isinstance(data, Mapping) and "team" not in data and ("target" in data or not _TARGET_KEYS.isdisjoint(data))
