"""When the records of a model came: once for the same content, however often it is sent.

RECEIVED#card-fraud / <SHA-256 of the content>    {"at": "2026-03-01T12:00:00.000Z"}, gone some weeks after
"""

from __future__ import annotations

from datetime import datetime, timedelta

from labcycle_lambdas.ledger.table import Mark, Repeated, Table
from labcycle_lambdas.ledger.times import stamp

KEPT = timedelta(days=31)  # what comes again after that is new


class Received:
    """What came of a ledger's models."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def first(self, model: str, content: str, now: datetime) -> datetime:
        """When this content came first, which is `now` if it never did. Raises `Throttled`."""
        key = f"RECEIVED#{model}", content
        expires = int((now + KEPT).timestamp())
        try:
            self._table.write(Mark(*key, {"at": stamp(now)}, expires=expires))
        except Repeated:
            item = self._table.get(*key)
            if item is not None:  # else it went just now
                return datetime.fromisoformat(item.doc["at"])
        return datetime.fromisoformat(stamp(now))
