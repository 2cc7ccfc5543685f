"""A clock that moves when it is told to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    def __init__(self) -> None:
        self.start = datetime(2026, 3, 1, tzinfo=UTC)
        self._seconds = 0.0

    def monotonic(self) -> float:
        return 1000.0 + self._seconds

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self._seconds)

    def pass_seconds(self, seconds: float) -> None:
        self._seconds += seconds
