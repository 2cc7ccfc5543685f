"""Reports by e-mail: one mark a scheduled time, so that nobody gets a report twice.

Whether a mail was sent, only the mail service knows, and its answer can be lost. So the mark is written before the mail is
handed over, and says afterwards how it went; a mark that still says `sending` is never taken for a reason to send again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labcycle_lambdas.ledger.table import Changed, Create, Exists, Item, Replace, Table

SENDING, SENT, REFUSED = "sending", "sent", "refused"


class Unanswered(Exception):
    """The mail was handed over before, and nothing tells yet, or ever, what came of it."""


class Reports:
    """The reports of a ledger."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def sent(self, model: str, key: str) -> dict[str, Any] | None:
        """The mark of a report that was sent; None where it may be sent.

        Raises
        ------
        Unanswered
            If it was handed over, and nothing more is known.
        Throttled
            If DynamoDB did not take the call.
        """
        item = self._table.get(_partition(model), key)
        if item and item.doc["state"] == SENDING:
            raise Unanswered(key)
        return item.doc if item and item.doc["state"] == SENT else None

    def begin(self, model: str, key: str, detail: Mapping[str, Any]) -> Item:
        """Say that it is handed over now; what comes is for `end`.

        Raises
        ------
        Unanswered
            If another call did.
        Throttled
            If DynamoDB did not take it; the mail must not be handed over.
        """
        pk, doc = _partition(model), {"state": SENDING, **detail}
        before = self._table.get(pk, key)
        if before and before.doc["state"] != REFUSED:
            raise Unanswered(key)
        try:
            self._table.write(Replace(before, doc) if before else Create(pk, key, doc))
        except (Exists, Changed):
            raise Unanswered(key) from None
        return Item(pk, key, doc, before.rev + 1 if before else 1)

    def end(self, begun: Item, state: str, detail: Mapping[str, Any]) -> None:
        """Say how it went: SENT, or REFUSED, and then it may be tried again. Raises `Throttled`."""
        self._table.write(Replace(begun, {**begun.doc, "state": state, **detail}))


def _partition(model: str) -> str:
    return f"REPORT#{model}"
