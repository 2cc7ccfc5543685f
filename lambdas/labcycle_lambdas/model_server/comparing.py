"""Sums of a comparison, in windows that are written again and again, each to a key of its own, until they are over."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isclose, isfinite
from typing import Any, Generic, TypeVar

from labcycle_lambdas.ledger.shadows import Comparison, Offered, Seen, Shadows

WINDOW_SECONDS = 300.0
_SAME = 1e-6  # relative: graphs compute with 32 bits
_KEPT = 9  # windows whose last write failed

T = TypeVar("T", Offered, Seen)


@dataclass
class _Window(Generic[T]):
    of: Comparison
    number: int
    start: datetime
    opened: float
    sums: T
    changes: int = 0
    written: int = 0


class Sums(Generic[T]):
    """The open window of one sandbox; any number of threads may add, one at a time writes."""

    def __init__(
        self,
        shadows: Shadows,
        model: str,
        sandbox_id: str,
        kind: Callable[[], T],
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._shadows = shadows
        self._model = model
        self._sandbox_id = sandbox_id
        self._kind: Callable[[], T] = kind
        self._monotonic = monotonic
        self._now = now
        self._lock = threading.Lock()
        self._numbers = 0
        self._windows: list[_Window[T]] = []  # the last one is open
        self._written_at = float("-inf")

    def add(self, of: Comparison, one: T) -> None:
        """Write nothing yet."""
        with self._lock:
            window = self._window(of)
            window.sums.add(one)
            window.changes += 1

    def write(self, *, every_seconds: float = 0.0) -> None:
        """Write what came since the last time, unless that was so short a time ago. Raises what the write raises; nothing is lost
        by that."""
        at = self._monotonic()
        if at - self._written_at < every_seconds:
            return
        with self._lock:
            due = [(window, window.changes, self._copy(window.sums)) for window in self._windows]
        for window, changes, sums in due:
            if changes > window.written:
                self._shadows.write(self._model, window.of, self._sandbox_id, window.number, window.start, sums)
                window.written, self._written_at = changes, at
        with self._lock:
            self._windows = [one for one in self._windows[:-1] if one.changes > one.written] + self._windows[-1:]

    def _copy(self, sums: T) -> T:
        copy: T = self._kind()
        copy.add(sums)
        return copy

    def _window(self, of: Comparison) -> _Window[T]:
        at = self._monotonic()
        if self._windows and self._windows[-1].of == of and at - self._windows[-1].opened < WINDOW_SECONDS:
            return self._windows[-1]
        self._numbers += 1
        window: _Window[T] = _Window(of, self._numbers, self._now(), at, self._kind())
        self._windows = self._windows[-_KEPT:]
        self._windows.append(window)
        self._written_at = float("-inf")
        return window


def compared(live: Sequence[Any], shadow: Sequence[Any]) -> Seen:
    """How the predictions for the same rows agree."""
    found = Seen(rows=len(live))
    for ours, theirs in zip(live, shadow, strict=True):
        differences = _differences(ours, theirs)
        if differences is None:
            found.same += type(ours) is type(theirs) and ours == theirs
            continue
        found.same += all(isclose(a, b, rel_tol=_SAME, abs_tol=1e-9) for a, b in differences)
        if _is_number(ours) and _is_number(theirs) and float in (type(ours), type(theirs)):
            found.numbers += 1
            found.difference += abs(ours - theirs)
    return found


def _differences(ours: Any, theirs: Any) -> list[tuple[float, float]] | None:
    """Pairs of numbers, where both are a number, or lists of as many."""
    if _is_number(ours) and _is_number(theirs):
        return [(ours, theirs)]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = [_differences(a, b) for a, b in zip(ours, theirs, strict=True)]
        if all(pair is not None for pair in pairs):
            return [one for pair in pairs if pair for one in pair]
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and isfinite(value)
