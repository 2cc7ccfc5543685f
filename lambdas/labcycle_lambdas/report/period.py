"""The days that a report is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Period:
    """Whole days of `zone`, oldest first, however long a day is there."""

    days: tuple[date, ...]
    zone: ZoneInfo

    @classmethod
    def before(cls, at: datetime, days: int, zone: ZoneInfo) -> Period:
        """So many days, to the end of the day before `at`: a repeat of a late call is about the same ones."""
        today = at.astimezone(zone).date()
        return cls(tuple(today - timedelta(days=back) for back in range(days, 0, -1)), zone)

    @property
    def start(self) -> datetime:
        return datetime.combine(self.days[0], time(), self.zone)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.days[-1] + timedelta(days=1), time(), self.zone)

    def holds(self, at: datetime) -> bool:
        return self.start <= at < self.end
