"""Count how each version answers while one is tried beside another, inside the requests: there is no timer after an answer.

The first answer of a window, its first failures, and the first answer a second after the last write are written at once, so that
who watches the roll-out sees a bad version within seconds. The repeated write of a window replaces the one before it. A change of
the deployment begins new windows: what is counted belongs to one trial.
"""

from __future__ import annotations

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
    ) -> None:
        self._traffic = traffic
        self._model = model
        self._sandbox_id = sandbox_id
        self._monotonic = monotonic
        self._now = now
        self._numbers = 0
        self._generation = 0
        self._windows: dict[int, _Window] = {}

    def count(self, generation: int, version: int, milliseconds: float, *, failed: bool) -> None:
        """One more answer of a version, in a generation of the deployment. Raises what the write raises; the answer is counted
        all the same."""
        at = self._monotonic()
        if generation != self._generation:
            self._generation, self._windows = generation, {}
        window = self._windows.get(version)
        if window and at - window.opened >= WINDOW_SECONDS:
            if window.tally.requests:
                self._write(version, window, at)
            window = None
        if window is None:
            self._numbers += 1
            window = self._windows[version] = _Window(self._numbers, self._now(), at)
        window.tally.count(milliseconds, failed=failed)
        at_once = failed and window.tally.failed <= FAILURES_AT_ONCE
        if at_once or at - window.written >= WRITE_SECONDS:
            self._write(version, window, at)

    def _write(self, version: int, window: _Window, at: float) -> None:
        self._traffic.write(self._model, version, self._sandbox_id, window.number, window.start, window.tally)
        window.written = at
