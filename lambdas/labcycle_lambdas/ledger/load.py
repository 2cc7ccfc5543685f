"""How many calls each caller made of late, over all sandboxes: one item, which holds two windows of time and forgets.

LOAD / HEADER    {"window": 7, "calls": {"ada": 120}, "before": {"ada": 90, "bob": 3}}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from labcycle_lambdas.ledger.records import HEADER
from labcycle_lambdas.ledger.table import Create, Doc, Replace, Table

_PARTITION = "LOAD"


class Load:
    def __init__(self, table: Table) -> None:
        self._table = table

    def add(self, window: int, calls: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        """Calls by caller, these among them, of the window (a number that grows) and of the one before.

        Raises
        ------
        Exists, Changed
            If another sandbox was faster; nothing was added.
        Throttled
            If DynamoDB did not take it.
        """
        item = self._table.get(_PARTITION, HEADER)
        known: Doc = item.doc if item else {"window": window, "calls": {}, "before": {}}
        age = window - known["window"]
        before = known["calls"] if age == 1 else known["before"] if age == 0 else {}
        present = dict(Counter(known["calls"] if age == 0 else {}) + Counter(calls))
        doc = {"window": window, "calls": present, "before": before}
        self._table.write(Replace(item, doc) if item else Create(_PARTITION, HEADER, doc))
        return present, before
