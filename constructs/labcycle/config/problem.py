"""What is wrong with a configuration, where, and how it is mended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from labcycle.errors import LabcycleError

Path = tuple[str | int, ...]
"""Where a value stands in a file: keys and list indices from the top, for example `("models", 0, "name")`."""


def dotted(path: Path) -> str:
    """A path as people read it: `models[0].deliver[0].memory_mb`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Parameters
    ----------
    message
        What was got, what is allowed, and the mend, in one line.
    path
        Dotted path of the value; empty for the file as a whole.
    file
        The file as the caller named it; empty for configuration that was made in Python.
    line, column
        Counted from 1; 0 where there is no such place (a file that cannot be read, configuration made in Python).
    """

    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column}"
        text = ": ".join(part for part in (place, self.path, self.message) if part)
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)  # one line, whatever the file holds


class ConfigError(LabcycleError):
    """The configuration cannot be used; lists every problem that was found, in the order of files and lines.

    Parameters
    ----------
    problems
        At least one.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        unique = dict.fromkeys(problems)
        self.problems: tuple[Problem, ...] = tuple(sorted(unique, key=lambda p: (p.file, p.line, p.column)))
        super().__init__("\n".join(map(str, self.problems)))
