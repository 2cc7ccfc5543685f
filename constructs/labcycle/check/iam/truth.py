"""Yes, no or maybe: Kleene's three-valued logic, so that what nobody knows is not taken for a yes or a no."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class Truth(IntEnum):
    """How sure it is that something holds. MAYBE only where the request leaves something open."""

    NO = 0
    MAYBE = 1
    YES = 2

    def __invert__(self) -> Truth:
        return Truth(2 - self)


def all_of(truths: Iterable[Truth]) -> Truth:
    """YES for none at all."""
    found = Truth.YES
    for truth in truths:
        if truth is Truth.NO:
            return truth
        found = min(found, truth)
    return found


def any_of(truths: Iterable[Truth]) -> Truth:
    """NO for none at all."""
    found = Truth.NO
    for truth in truths:
        if truth is Truth.YES:
            return truth
        found = max(found, truth)
    return found
