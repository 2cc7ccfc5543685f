"""How much of their quotas the consumers of a model have used: a counter for each consumer and period, which is added to and
never read to be written.

QUOTA#card-fraud / shop#2026-11    used 1200, expires some weeks after the period
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from labcycle_lambdas.ledger.table import Table

_KEPT = timedelta(days=35)  # a used-up period can be looked at for so long


@dataclass(frozen=True)
class Period:
    """A day, a week from Monday or a month, of UTC. `label` sorts by time; `ends` is not part of it."""

    label: str
    ends: datetime

    @classmethod
    def at(cls, per: str, now: datetime) -> Period:
        """The day, week or month of a time. Raises `ValueError` where `per` is none of them."""
        midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        if per == "day":
            return cls(f"{midnight:%Y-%m-%d}", midnight + timedelta(days=1))
        if per == "week":
            year, week, weekday = midnight.isocalendar()
            return cls(f"{year}-W{week:02d}", midnight + timedelta(days=8 - weekday))
        if per == "month":
            return cls(f"{midnight:%Y-%m}", (midnight.replace(day=1) + timedelta(days=32)).replace(day=1))
        raise ValueError(f"a quota is per day, week or month, not per {per}")


@dataclass(frozen=True)
class Used:
    consumer: str
    period: str
    requests: int


class Quotas:
    """The counters of a ledger."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take(self, model: str, consumer: str, period: str, ends: datetime, requests: int, *, most: int) -> int:
        """Count up to so many more requests, as long as the period has no more than `most`; how many were counted.

        A call whose answer was lost may have counted: then a consumer gets less, never more. Raises `Throttled`.
        """
        expires = int((ends + _KEPT).timestamp())
        return self._table.count_up(_partition(model), f"{consumer}#{period}", requests, most=most, expires=expires)

    def used(self, model: str) -> list[Used]:
        """What was counted of each consumer, in the order of consumers and periods. Raises `Throttled`."""
        counted = self._table.counters(_partition(model)).items()
        return [Used(*_consumer_and_period(key), count) for key, count in counted]


def _consumer_and_period(sort_key: str) -> tuple[str, str]:
    consumer, _, period = sort_key.rpartition("#")
    return consumer, period


def _partition(model: str) -> str:
    return f"QUOTA#{model}"
