"""Where configuration was read: the place of every key and value of a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .problem import Path, Problem, dotted


@dataclass(frozen=True)
class Place:
    """Line and column, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True, eq=False)
class Origin:
    """A file with the places of its keys and values. Empty for configuration that was made in Python. `texts` are those of other
    files that it names, by the names that they have there.

    All origins are equal: where a team was read does not make it another team.
    """

    file: str = ""
    keys: Mapping[Path, Place] = field(default_factory=dict)
    values: Mapping[Path, Place] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin)

    def __hash__(self) -> int:
        return 0

    def problem(self, path: Path, message: str, *, on_key: bool = False) -> Problem:
        """A problem at `path`; where the file has no such value, at the nearest thing around it."""
        place = self._place(path, on_key)
        return Problem(message, dotted(path), self.file, place.line if place else 0, place.column if place else 0)

    def _place(self, path: Path, on_key: bool) -> Place | None:
        if not on_key and path in self.values:
            return self.values[path]
        for length in range(len(path), 0, -1):
            near = path[:length]
            if near in self.keys:
                return self.keys[near]
            if near in self.values:
                return self.values[near]
        return self.values.get(())
