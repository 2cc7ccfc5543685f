"""Keep profiles of what the model sees: on Lambda inside the requests, since after the answer a sandbox is frozen; in a process
by a timer.

On Lambda a window starts with a request and is written with it, so that the rarest traffic is seen. Later rows of the window are
written at `FLUSH_ROWS`, or by the first request after `WINDOW_SECONDS`. The repeated write of a window replaces the one
before it, so that retries are exact. What a dying sandbox takes along is less than `FLUSH_ROWS` rows of one window.

A process only counts in its requests. `flush` writes an open window again and again until its `WINDOW_SECONDS` are over; what a
dying process takes along is what came since the last flush.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from labcycle_lambdas.ledger.profiles import Profiles
from labcycle_lambdas.model_server.live import Loaded
from labcycle_lambdas.profiles import Profile, Reference

WINDOW_SECONDS = 60.0
FLUSH_ROWS = 200
_KEPT_VALUES = 1_000  # of a row


@dataclass
class _Window:
    version: int
    number: int
    start: datetime
    opened: float
    profile: Profile
    columns: Sequence[str] = ()
    uncounted: list[Sequence[Any]] = field(default_factory=list)  # rows with these columns, and the answer to each
    answers: list[Any] = field(default_factory=list)
    written_rows: int = 0

    @property
    def rows(self) -> int:
        return self.profile.rows + len(self.uncounted)

    def add(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], predictions: Sequence[Any]) -> None:
        """Single rows are counted many at once, which takes a fraction of the time, where they take little memory until then."""
        if columns != self.columns:
            self.count()
            self.columns = columns
        if len(rows) == len(predictions) == 1 and _is_small(rows[0], predictions[0]):
            self.uncounted.append(rows[0])
            self.answers.append(predictions[0])
        else:
            self.profile.add(columns, rows, predictions)

    def count(self) -> None:
        self.profile.add(self.columns, self.uncounted, self.answers)
        self.uncounted, self.answers = [], []


def _is_small(row: Sequence[Any], answer: Any) -> bool:
    return len(row) <= _KEPT_VALUES and set(map(type, row)) == {float} and type(answer) in (int, float, str)


class Capture:
    """The profile windows of one sandbox."""

    def __init__(
        self,
        profiles: Profiles,
        model: str,
        sandbox_id: str,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        by_timer: bool = False,
    ) -> None:
        """`by_timer`: nothing is written but by `flush`, which one thread calls; any number of threads may add."""
        self._by_timer = by_timer
        self._lock = threading.Lock()
        self._profiles = profiles
        self._model = model
        self._sandbox_id = sandbox_id
        self._monotonic = monotonic
        self._now = now
        self._numbers = 0
        self._window: _Window | None = None
        self._unwritten: list[_Window] = []  # closed, but their write failed
        self._generation = 0
        self._reference: Reference | None = None

    def add(
        self, loaded: Loaded, columns: Sequence[str], rows: Sequence[Sequence[Any]], predictions: Sequence[Any]
    ) -> None:
        """Count these rows and write what is due. Raises what the write raises; nothing is lost by that."""
        with self._lock:
            first = self._count(loaded, columns, rows, predictions)
        if self._by_timer:
            return
        self._write_closed()
        if first:
            self._write(first)

    def flush(self) -> None:
        """Write what came since the last time. Raises what the write raises; nothing is lost by that."""
        with self._lock:
            if self._window and self._monotonic() - self._window.opened >= WINDOW_SECONDS:
                self._close()
            window = self._window
        self._write_closed()
        if window and window.rows > window.written_rows:
            self._write(window)

    def _count(
        self, loaded: Loaded, columns: Sequence[str], rows: Sequence[Sequence[Any]], predictions: Sequence[Any]
    ) -> _Window | None:
        """The window, if it begins with these rows and they do not fill it."""
        if loaded.generation != self._generation:
            self._close()
            doc = loaded.deployed.reference
            self._reference = Reference.from_doc(doc) if doc else None
            self._generation = loaded.generation
        if self._reference is None or not rows:
            return None
        at = self._monotonic()
        if self._window and at - self._window.opened >= WINDOW_SECONDS:
            self._close()
        first = self._window is None
        if self._window is None:
            self._numbers += 1
            profile = Profile(self._reference)
            self._window = _Window(loaded.deployed.version, self._numbers, self._now(), at, profile)
        window = self._window
        window.add(columns, rows, predictions)
        if self._by_timer:
            if len(window.uncounted) >= FLUSH_ROWS:
                window.count()
        elif window.rows - window.written_rows >= FLUSH_ROWS:
            self._close()
            return None
        return window if first else None

    def _close(self) -> None:
        if self._window and self._window.rows > self._window.written_rows:
            self._unwritten = [*self._unwritten[-9:], self._window]
        self._window = None

    def _write_closed(self) -> None:
        while self._unwritten:
            window = self._unwritten[0]
            self._write(window)
            with self._lock:
                self._unwritten = [one for one in self._unwritten if one is not window]

    def _write(self, window: _Window) -> None:
        with self._lock:
            window.count()
            rows, doc = window.rows, window.profile.to_doc()
        self._profiles.write(self._model, window.version, self._sandbox_id, window.number, window.start, doc)
        with self._lock:
            window.written_rows = rows
