"""Measure what the server uses of what it runs on: times of its answers, processor, memory; for advice on another size.

A request costs a lock and an addition. Processor and memory are read when a window begins, ends or is written, and the repeated write
of a window replaces the one before it, so that retries are exact. On Lambda the first answer of a window is written with it, later
ones when they are `GROWTH` times as many as were written, or after `WRITE_SECONDS`: what a dying sandbox takes along is less than that.
In a process a timer does it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labcycle_lambdas.ledger.traffic import Tally
from labcycle_lambdas.ledger.usage import Usage, Used

WINDOW_SECONDS = 900.0
WRITE_SECONDS = 300.0
GROWTH = 4
RETRY_SECONDS = 10.0  # a ledger that is busy must not slow each answer
_KEPT = 10  # windows whose write failed


@dataclass
class _Window:
    number: int
    start: datetime
    opened: float
    cpu_ms: float  # of the server, when it was opened
    used: Used
    written: float = float("-inf")
    written_requests: int = 0
    closed: bool = False


class Metering:
    """The windows of one server. `runs_on` tells its size; `cpu_ms` and `peak_mb` what it used since it began."""

    def __init__(
        self,
        usage: Usage,
        model: str,
        sandbox_id: str,
        runs_on: Mapping[str, Any],
        *,
        monotonic: Callable[[], float],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        cpu_ms: Callable[[], float] = lambda: time.process_time() * 1000,
        peak_mb: Callable[[], int] | None = None,
        by_timer: bool = False,
    ) -> None:
        """`by_timer`: nothing is written but by `flush`, which one thread calls; any number of threads may count."""
        self._usage = usage
        self._model = model
        self._sandbox_id = sandbox_id
        self._runs_on = runs_on
        self._monotonic = monotonic
        self._now = now
        self._cpu_ms = cpu_ms
        self._peak_mb = peak_mb or peak_memory_mb
        self._by_timer = by_timer
        self._lock = threading.Lock()
        self._not_before = float("-inf")
        self._numbers = 0
        self._window: _Window | None = None
        self._closed: list[_Window] = []  # their last figures may not be written yet

    def count(self, milliseconds: float, *, failed: bool) -> None:
        """One more answer. Raises what the write raises; the answer is counted all the same."""
        at = self._monotonic()
        with self._lock:
            if self._window is None or at - self._window.opened >= WINDOW_SECONDS:
                self._open(at)
            assert self._window
            used = self._window.used
            first = used.began and used.tally.requests == 0
            used.tally.count(milliseconds, failed=failed)
            used.answered_ms += 0 if first else milliseconds
        if not self._by_timer:
            self._write_due(at)

    def flush(self, *, all_of_it: bool = False) -> None:
        """Write what is due; `all_of_it`: what is not, too. Raises what the write raises; nothing is lost by that."""
        at = self._monotonic()
        with self._lock:
            if self._window and at - self._window.opened >= WINDOW_SECONDS:
                self._close(at)
        self._write_due(float("inf") if all_of_it else at)

    def _open(self, at: float) -> None:
        self._close(at)
        self._numbers += 1
        used = Used(self._runs_on, began=self._numbers == 1)
        self._window = _Window(self._numbers, self._now(), at, self._cpu_ms(), used)

    def _close(self, at: float) -> None:
        if self._window:
            self._read(self._window, at)
            self._window.closed = True
            self._closed = [*self._closed[1 - _KEPT :], self._window]
            self._window = None

    def _read(self, window: _Window, at: float) -> None:
        window.used.cpu_ms = self._cpu_ms() - window.cpu_ms
        window.used.peak_mb = self._peak_mb()
        window.used.seconds = min(at - window.opened, WINDOW_SECONDS)

    def _write_due(self, at: float) -> None:
        if at < self._not_before:
            return
        while self._closed:
            closed = self._closed[0]
            self._write(closed)
            with self._lock:
                self._closed = [one for one in self._closed if one is not closed]
        window = self._window
        if window and (
            at - window.written >= WRITE_SECONDS or window.used.tally.requests >= GROWTH * window.written_requests
        ):
            self._write(window)

    def _write(self, window: _Window) -> None:
        at = self._monotonic()
        with self._lock:
            if not window.closed:
                if window.used.tally.requests == window.written_requests:
                    return
                self._read(window, at)
            used = replace(window.used, tally=Tally())
            used.tally.add(window.used.tally)
        self._not_before = at + RETRY_SECONDS
        self._usage.write(self._model, self._sandbox_id, window.number, window.start, used)
        self._not_before = float("-inf")
        window.written, window.written_requests = at, used.tally.requests


def peak_memory_mb() -> int:
    """The most memory (MB of 1,024 KB) that this program ever had, as Linux tells it; elsewhere 0. What `getrusage` tells begins with
    the program that started this one."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024
