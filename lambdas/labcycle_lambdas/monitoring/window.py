"""What an evaluation keeps of each profile that it merged."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from labcycle_lambdas.ledger.profiles import StoredProfile


class Window(NamedTuple):
    """A window of a sandbox. `asked`: all requests that its server had; None where nobody counted them: in old
    profiles, and in those of records."""

    start: datetime
    sandbox_id: str
    number: int
    reference: str
    rows: int
    asked: int | None

    @classmethod
    def of(cls, stored: StoredProfile) -> Window:
        doc = stored.doc
        asked = doc.get("asked")
        return cls(
            stored.window_start,
            stored.sandbox_id,
            stored.number,
            doc["reference"],
            int(doc["rows"]),
            None if asked is None else int(asked),
        )
