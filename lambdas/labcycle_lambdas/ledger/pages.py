"""A mapping packed into as few items as fit, which may grow without any item growing without bound.

A new key goes to the last page, and every write that adds a key conditions on that page (the one that opens a page
touches the one before it): so two writers of one new key collide, and one of them reads again. A key that is there
already is changed in its page, or moved to the last one when its page would become too large.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.table import Create, Item, Replace, Write

PAGE_BYTES = 16_000
ENTRY_BYTES = 350_000  # one entry alone in its page; an item holds 400 KB
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html


def entry_bytes(key: str, value: Any) -> int:
    """Size of an entry as it is stored."""
    return len(json.dumps({key: value}, separators=(",", ":"), ensure_ascii=False).encode())


@dataclass
class Pages:
    """The pages `<prefix>0000`, `<prefix>0001`, ... of the partition `pk`, as they were read."""

    pk: str
    prefix: str
    items: list[Item] = field(default_factory=list)

    def entries(self) -> dict[str, Any]:
        """The whole mapping."""
        return {key: value for item in self.items for key, value in item.doc.items()}

    def writes(self, changes: Mapping[str, Any], remove: Iterable[str] = ()) -> list[Write]:
        """What must be written, in one transaction, to make these changes; nothing where they are made already.

        Raises
        ------
        Refused
            If an entry is larger than an item can be.
        """
        docs: list[dict[str, Any]] = [dict(item.doc) for item in self.items]
        sizes = [sum(entry_bytes(k, v) for k, v in doc.items()) for doc in docs]
        where = {key: number for number, doc in enumerate(docs) for key in doc}
        touched: set[int] = set()
        for key in remove:
            if key in where:
                at = where.pop(key)
                sizes[at] -= entry_bytes(key, docs[at].pop(key))
                touched.add(at)
        for key, value in changes.items():
            size = entry_bytes(key, value)
            if size > ENTRY_BYTES:
                raise Refused(
                    f"The value of '{key[:100]}' is too long: {size} bytes, at most {ENTRY_BYTES} can be kept."
                )
            page = where.get(key)
            if page is not None:
                if docs[page][key] == value:
                    continue
                touched.add(page)
                sizes[page] -= entry_bytes(key, docs[page].pop(key))
                if docs[page] and sizes[page] + size > PAGE_BYTES:
                    page = None
            if page is None:
                last = len(docs) - 1
                if last >= 0:
                    touched.add(last)
                if last < 0 or (docs[last] and sizes[last] + size > PAGE_BYTES):
                    docs.append({})
                    sizes.append(0)
                    last += 1
                    touched.add(last)
                page = last
            docs[page][key] = value
            sizes[page] += size
            where[key] = page
        return [
            Replace(self.items[number], docs[number])
            if number < len(self.items)
            else Create(self.pk, f"{self.prefix}{number:04d}", docs[number])
            for number in sorted(touched)
        ]
