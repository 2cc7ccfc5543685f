"""What the stream of the ledger's table says: the events of custody, as they were written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def event_in(record: Mapping[str, Any]) -> dict[str, Any]:
    """The event in a record of the stream. Raises `ValueError` or `KeyError` if it holds none."""
    event: dict[str, Any] = json.loads(record["dynamodb"]["NewImage"]["doc"]["S"])
    return event
