"""Files of requirements that the servers of models are made from: exact pins of all that is installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Flavour = Literal["sklearn", "xgboost", "lightgbm", "pyfunc"]
FLAVOURS: tuple[Flavour, ...] = get_args(Flavour)
# Of each group the lock holds one. scipy and joblib are what the libraries import by themselves.
_NEEDED: Mapping[Flavour, tuple[tuple[str, ...], ...]] = {
    "sklearn": (("scikit-learn",), ("numpy",), ("scipy",), ("joblib",), ("threadpoolctl",)),
    "xgboost": (("xgboost-cpu", "xgboost"), ("numpy",), ("scipy",)),
    "lightgbm": (("lightgbm",), ("numpy",), ("scipy",)),
    "pyfunc": (("mlflow-skinny", "mlflow"), ("numpy",), ("pandas",)),
}
LARGEST_LOCK_BYTES = 200_000
# Names and versions stand in a parameter of 4 KB, and in a function's environment of 4 KB.
PINS_CHARACTERS = 2_800
BOTH_PINS_CHARACTERS = 2_400  # of a runtime and the next, of which more is told besides
_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[A-Za-z0-9 ,._-]*\])?\s*==\s*(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*)"
)
_HASHES = re.compile(r"(?:\s+--hash=sha256:[0-9a-f]{64})+")


@dataclass(frozen=True)
class Lock:
    """The text of a file of requirements. `pins` are versions by the normalised names of packages."""

    text: str
    pins: Mapping[str, str]
    hashed: bool

    @classmethod
    def read(cls, text: str) -> Lock:
        """Raises `ValueError`, which tells of each line that is no exact pin."""
        lock, problems = parse(text)
        if problems:
            raise ValueError("; ".join(f"line {line}: {said}" for line, said in problems))
        return lock


def parse(text: str) -> tuple[Lock, list[tuple[int, str]]]:
    """The lock, and what is wrong with it: numbers of lines, from 1, and what to tell of them."""
    pins: dict[str, str] = {}
    problems: list[tuple[int, str]] = []
    hashed = []
    for number, line in _requirements(text):
        found = _PIN.match(line)
        rest = line[found.end() :] if found else ""
        if not found or (rest and not _HASHES.fullmatch(rest)):
            problems.append((number, _told(line)))
            continue
        name = normalised(found["name"])
        if name in pins:
            problems.append((number, f"got {name} a second time; allowed each package once. Remove one of the lines"))
        pins[name] = found["version"]
        hashed.append(bool(rest))
    if any(hashed) and not all(hashed):
        problems.append(
            (
                1,
                "got hashes for some packages alone; allowed for all or for none, since pip takes nothing else. Add those that are missing",
            )
        )
    return Lock(text, pins, bool(hashed) and all(hashed)), problems


def lacking(flavour: Flavour, lock: Lock) -> Sequence[str]:
    """Packages that a server of the flavour cannot do without, and that are not pinned."""
    return [group[0] for group in _NEEDED[flavour] if not any(name in lock.pins for name in group)]


def normalised(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements(text: str) -> Iterator[tuple[int, str]]:
    """What stands there without comments, each with the number of its first line; a line that ends with a backslash goes on."""
    began, parts = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        began = began or number
        parts.append(bare.removesuffix("\\").strip())
        if bare.endswith("\\"):
            continue
        if whole := " ".join(filter(None, parts)):
            yield began, whole
        began, parts = 0, []


def _told(line: str) -> str:
    shown = line.split(" --hash")[0][:80]
    if line.startswith("-"):
        return f"got the option {shown}; allowed pins alone. Remove it, and tell pip by its own settings, such as PIP_INDEX_URL"
    if ";" in line:
        return f"got {shown}, with a condition; allowed pins for Python 3.13 on Linux (x86_64) alone. Remove the condition, or the line"
    name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", shown)
    return (
        f"got {shown}; allowed exact pins of all packages, those that they need included. "
        f"Write {name[0] if name else 'NAME'}==VERSION, as `pip freeze` or `uv pip compile` does"
    )
