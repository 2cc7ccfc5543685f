"""What the stream of the ledger's table says: the events of custody, as they were written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

# What the event source is to let through: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html
EVENTS_ONLY = {
    "eventName": ["INSERT"],
    "dynamodb": {"Keys": {"pk": {"S": [{"prefix": "CUSTODY#"}]}, "sk": {"S": [{"anything-but": ["HEAD"]}]}}},
}


def events_in(records: list[Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each event in these records of a stream, in order, with the record's sequence number.

    Raises
    ------
    ValueError, KeyError
        If a record holds no event.
    """
    for record in records:
        change = record["dynamodb"]
        yield change["SequenceNumber"], json.loads(change["NewImage"]["doc"]["S"])
