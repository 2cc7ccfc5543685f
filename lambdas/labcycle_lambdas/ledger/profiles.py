"""Profiles of live traffic, as the model servers wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from labcycle_lambdas.ledger.table import Item, Put, Table
from labcycle_lambdas.ledger.windows import beginning, window_key

_READ_AT_ONCE = 300


@dataclass(frozen=True)
class StoredProfile:
    """One window of one sandbox; `doc` is what `profiles.Profile.to_doc` gave."""

    window_start: datetime
    sandbox_id: str
    number: int
    doc: dict[str, Any]


class Profiles:
    """The profiles of a ledger: one document a window and sandbox. `kind`: of versions that answer, or of shadows, which see
    rows that another one answered."""

    def __init__(self, table: Table, kind: Literal["PROFILE", "SHADOWPROFILE"] = "PROFILE") -> None:
        self._table = table
        self._kind = kind

    def write(
        self, model: str, version: int, sandbox_id: str, number: int, window_start: datetime, doc: Mapping[str, Any]
    ) -> None:
        """Keep the profile `number` of a sandbox. Repeating the call changes nothing; the last document counts.

        `number` counts the windows of a sandbox; a window keeps its number and its start until its write has been
        answered. Raises `Throttled`.
        """
        sort_key = window_key(window_start, sandbox_id, number)
        self._table.write(Put(self._partition(model, version), sort_key, {"profile": dict(doc)}))

    def read(self, model: str, version: int, since: datetime) -> list[StoredProfile]:
        """Profiles of this version whose window started at `since` or later, oldest first. Raises `Throttled`."""
        return list(self.each(model, version, since))

    def each(self, model: str, version: int, since: datetime) -> Iterator[StoredProfile]:
        """The same one after another, for more of them than memory holds. Raises `Throttled`."""
        for item in self._table.query(self._partition(model, version), after=beginning(since)):
            yield _stored(item)

    def newest_first(self, model: str, version: int) -> Iterator[StoredProfile]:
        """Profiles of this version, read page by page as far as they are asked for. Raises `Throttled`."""
        for item in self._table.query(self._partition(model, version), last_first=True, page_items=_READ_AT_ONCE):
            yield _stored(item)

    def last(self, model: str, version: int) -> StoredProfile | None:
        """The profile of this version that counts rows and whose window started last, if there is any. Raises `Throttled`."""
        found = map(_stored, self._table.query(self._partition(model, version), last_first=True, page_items=10))
        return next((profile for profile in found if profile.doc["rows"]), None)

    def _partition(self, model: str, version: int) -> str:
        return f"{self._kind}#{model}#{version}"


def _stored(item: Item) -> StoredProfile:
    stamp, _, rest = item.sk.partition("#")
    sandbox_id, _, number = rest.rpartition("#")
    return StoredProfile(datetime.fromisoformat(stamp), sandbox_id, int(number), item.doc["profile"])
