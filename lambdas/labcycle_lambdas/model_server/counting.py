"""Count how each version answers while one is tried beside another: on Lambda inside the requests, since there is no timer after
an answer; in a process by a timer.

On Lambda the first answer of a window, its first failures, and the first answer a second after the last write are written at
once, so that who watches the roll-out sees a bad version within seconds. The repeated write of a window replaces the one before it. A change of
the deployment begins new windows: what is counted belongs to one trial.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from labcycle_lambdas.ledger.traffic import Tally, Traffic

WINDOW_SECONDS = 60.0
WRITE_SECONDS = 1.0
FAILURES_AT_ONCE = (
    10  # of a window: a write for each one of a version that fails always would be more than a partition takes
)


@dataclass
class _Window:
    number: int
    start: datetime
    opened: float
    written: float = float("-inf")
    written_requests: int = 0
    tally: Tally = field(default_factory=Tally)


class Counting:
    """The open windows of one sandbox, by version."""

    def __init__(
        self,
        traffic: Traffic,
        model: str,
        sandbox_id: str,
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        by_timer: bool = False,
    ) -> None:
        """`by_timer`: nothing is written but by `flush`, which one thread calls; any number of threads may count."""
        self._by_timer = by_timer
        self._lock = threading.Lock()
        self._traffic = traffic
        self._model = model
        self._sandbox_id = sandbox_id
        self._monotonic = monotonic
        self._now = now
        self._numbers = 0
        self._generation = 0
        self._windows: dict[int, _Window] = {}
        self._closed: list[tuple[int, _Window]] = []  # by version; their last counts may not be written yet

    def count(self, generation: int, version: int, milliseconds: float, *, failed: bool) -> None:
        """One more answer of a version, in a generation of the deployment. Raises what the write raises; the answer is counted
        all the same."""
        at = self._monotonic()
        with self._lock:
            window = self._window(generation, version, at)
            window.tally.count(milliseconds, failed=failed)
        if self._by_timer:
            return
        while self._closed:
            self._write(*self._closed[0], at)
            self._closed.pop(0)
        at_once = failed and window.tally.failed <= FAILURES_AT_ONCE
        if at_once or at - window.written >= WRITE_SECONDS:
            self._write(version, window, at)

    def flush(self) -> None:
        """Write what came since the last time. Raises what the write raises; nothing is lost by that."""
        at = self._monotonic()
        with self._lock:
            changed = [*self._closed, *self._windows.items()]
        for version, window in changed:
            if window.tally.requests > window.written_requests:
                self._write(version, window, at)
        with self._lock:
            self._closed = [one for one in self._closed if one not in changed]

    def _window(self, generation: int, version: int, at: float) -> _Window:
        if generation != self._generation:
            self._generation, self._windows = generation, {}
        window = self._windows.get(version)
        if window and at - window.opened >= WINDOW_SECONDS:
            self._closed = [*self._closed[-9:], (version, window)]
            window = None
        if window is None:
            self._numbers += 1
            window = self._windows[version] = _Window(self._numbers, self._now(), at)
        return window

    def _write(self, version: int, window: _Window, at: float) -> None:
        with self._lock:
            tally = Tally(window.tally.requests, window.tally.failed, list(window.tally.times))
        self._traffic.write(self._model, version, self._sandbox_id, window.number, window.start, tally)
        window.written, window.written_requests = at, tally.requests
