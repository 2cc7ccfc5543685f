"""What a version is asked. Plain Python, so that a version that runs apart needs no package but those of its runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Table:
    """Rows of values as JSON gave them; `columns` is None where they have no names."""

    columns: list[str] | None
    rows: list[list[Any]]


@dataclass(frozen=True)
class Tensors:
    """Nested lists by input name; the name is None for a nameless one."""

    values: dict[str | None, Any]
