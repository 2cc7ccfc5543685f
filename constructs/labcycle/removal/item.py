"""One thing that is to be ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Item:
    """Something of the team.

    Parameters
    ----------
    size
        How much it is, in words; empty where that says nothing.
    delete
        Ends it; None where its end has begun and is waited for.
    """

    kind: str
    name: str
    size: str = ""
    delete: Callable[[], None] | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.size})" if self.size else "")
