"""Load team and target files; every problem of every file is told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path as FilePath
from typing import TypeVar

from pydantic import ValidationError

from . import rules
from .document import Document, read
from .explain import explain, nearest
from .named_locks import named_locks
from .problem import ConfigError, Problem
from .rules import Broken
from .target import Target
from .team import Team
from .together import problems_among, problems_together

SUFFIXES = (".yaml", ".yml")
_Settings = TypeVar("_Settings", Team, Target)


def load_team(path: FilePath | str) -> Team:
    """The team in a file.

    Raises
    ------
    ConfigError
        With every problem of the file.
    """
    return _load(FilePath(path), Team, "team", rules.team_rules)


def load_target(path: FilePath | str) -> Target:
    """The target in a file.

    Raises
    ------
    ConfigError
        With every problem of the file.
    """
    return _load(FilePath(path), Target, "target", rules.target_rules)


def load_all(teams_dir: FilePath | str, targets_dir: FilePath | str) -> tuple[list[Team], dict[str, Target]]:
    """All teams and targets of two folders, each checked and all checked against each other.

    Returns
    -------
    tuple
        Teams in the order of their names; targets by name.

    Raises
    ------
    ConfigError
        With every problem of every file.
    """
    problems: list[Problem] = []
    targets = _each(_files(FilePath(targets_dir), problems), load_target, problems)
    teams = _each(_files(FilePath(teams_dir), problems), load_team, problems)
    written = {path.stem for path in _files(FilePath(targets_dir), [])}
    by_name = {target.target: target for target in targets}
    for team in teams:
        if team.target in by_name:
            problems.extend(problems_together(team, by_name[team.target]))
        elif team.target not in written:  # one that is there and broken has been told
            problems.append(unknown_target(team, FilePath(targets_dir), by_name))
    problems.extend(problems_among(teams, by_name, targets))
    if problems:
        raise ConfigError(problems)
    return sorted(teams, key=lambda team: team.team), by_name


def unknown_target(team: Team, folder: FilePath, known: Iterable[str]) -> Problem:
    """What to tell of a team whose target is not among the `known` ones of the folder."""
    mend = nearest(team.target, known) or f"Write {folder / team.target}.yaml"
    message = f"got {team.target}; allowed the targets in {folder} ({', '.join(sorted(known)) or 'none yet'}). {mend}"
    return team.origin.problem(("target",), message)


def file_of(folder: FilePath, name: str) -> FilePath | None:
    """The file of this name in a folder; none where there is none.

    Raises
    ------
    ConfigError
        If there are two, which differ in their suffix.
    """
    found = [file for suffix in SUFFIXES if (file := folder / f"{name}{suffix}") in folder.glob("*")]
    if len(found) > 1:
        first, second = found
        message = f"got {second.name} beside {first.name}; allowed one file a name, since nothing says which is meant. Remove one of the two"
        raise ConfigError([Problem(message, "", str(second), 1, 1)])
    return found[0] if found else None


def _files(folder: FilePath, problems: list[Problem]) -> list[FilePath]:
    if not folder.is_dir():
        problems.append(Problem("there is no such folder. Check the path, and the folder you are in", "", str(folder)))
        return []
    files = sorted(
        (path for path in folder.iterdir() if path.suffix in SUFFIXES), key=lambda path: (path.stem, path.suffix)
    )
    if not files:
        problems.append(
            Problem("there is no .yaml file in this folder. Write one, or name another folder", "", str(folder))
        )
    return files


def _each(files: list[FilePath], load: Callable[[FilePath], _Settings], problems: list[Problem]) -> list[_Settings]:
    loaded: list[_Settings] = []
    for file in files:
        try:
            loaded.append(load(file))
        except ConfigError as error:
            problems.extend(error.problems)
    return loaded


def _load(
    file: FilePath, model: type[_Settings], name_key: str, all_rules: Callable[[object], Iterator[Broken]]
) -> _Settings:
    document = read(file)
    problems = list(document.problems)
    loaded: _Settings | None = None
    try:
        loaded = model.model_validate(document.data)
    except ValidationError as error:
        problems += explain(error, model, document)
    told = {(problem.line, problem.column) for problem in problems}
    for broken in chain(all_rules(document.data), _file_name(document, name_key, file)):
        problem = document.origin.problem(broken.path, broken.message, on_key=broken.on_key)
        if (problem.line, problem.column) not in told:
            problems.append(problem)
    texts, found = named_locks(document, file)
    problems += [
        problem for problem in found if (problem.line, problem.column) not in told or problem.file != str(file)
    ]
    if problems or loaded is None:
        raise ConfigError(problems)
    return loaded.read_from(replace(document.origin, texts=texts))


def _file_name(document: Document, name_key: str, file: FilePath) -> Iterator[Broken]:
    name = document.data.get(name_key) if isinstance(document.data, dict) else None
    if isinstance(name, str) and name != file.stem:
        yield Broken(
            (name_key,),
            f"got {name}; allowed {file.stem}, the name of the file. Rename the file to {name}.yaml, or the {name_key}",
        )
