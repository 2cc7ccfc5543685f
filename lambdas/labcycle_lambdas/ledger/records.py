"""A record is one header and any number of packed mappings ("parts") under one identifier of a partition.

Sort keys are `<id>/HEADER` and `<id>/<PART>/<page>`, so that one query reads a record, or a whole partition of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from labcycle_lambdas.ledger.pages import Pages
from labcycle_lambdas.ledger.table import Item, Table

HEADER = "HEADER"


@dataclass
class Record:
    """As it was read; `header` is None where only parts are there."""

    pk: str
    id: str
    header: Item | None = None
    parts: dict[str, Pages] = field(default_factory=dict)

    def part(self, name: str) -> Pages:
        """The packed mapping `name`; empty where nothing was written."""
        return self.parts.setdefault(name, Pages(self.pk, f"{self.id}/{name}/"))

    def entries(self, name: str) -> dict[str, Any]:
        return self.part(name).entries()


def read(table: Table, pk: str, record_id: str) -> Record:
    """The record `record_id`, empty where there is none."""
    return next(read_all(table, pk, f"{record_id}/"), Record(pk, record_id))


def read_all(table: Table, pk: str, prefix: str = "") -> Iterator[Record]:
    """All records of a partition whose key starts with `prefix`, in the order of their identifiers."""
    record: Record | None = None
    for item in table.query(pk, prefix):
        record_id, _, rest = item.sk.partition("/")
        if record is None or record.id != record_id:
            if record:
                yield record
            record = Record(pk, record_id)
        if rest == HEADER:
            record.header = item
        else:
            record.part(rest.partition("/")[0]).items.append(item)
    if record:
        yield record
