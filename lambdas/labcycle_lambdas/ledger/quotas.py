"""How much of their quotas the consumers of a model have used: a counter for each consumer and period, which is added to and
never read to be written.

QUOTA#card-fraud / shop#2026-11    used 1200, expires some weeks after the period
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from labcycle_lambdas.ledger.table import Table

_KEPT = timedelta(days=35)  # a used-up period can be looked at for so long


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
