"""Send events of custody to the team's bus, in the order of the stream; docs/custody-event.schema.json is their shape.

An event may come twice. Its hash is its `event_id`, by which who receives it knows it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from labcycle_lambdas.ledger.stream import event_in
from labcycle_lambdas.ledger.table import to_json

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SCHEMA_VERSION = 1
SOURCE = "labcycle.custody"
DETAIL_TYPE = "Custody Event"
_MOST_ENTRIES = 10
_MOST_BYTES = 250_000  # of 256 KB: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html


class Outbox:
    """Sends to the bus `bus`."""

    def __init__(self, client: EventBridgeClient, bus: str, team: str) -> None:
        self._client = client
        self._bus = bus
        self._team = team

    def send(self, records: list[Mapping[str, Any]]) -> str | None:
        """Send the events in these records of a stream; the sequence number of the first that did not get through."""
        group: list[tuple[str, PutEventsRequestEntryTypeDef]] = []
        size = 0
        for number, entry in self._entries(records):
            if entry is None:
                return self._put(group) or number
            more = len(entry["Detail"].encode())
            if group and (len(group) == _MOST_ENTRIES or size + more > _MOST_BYTES):
                if failed := self._put(group):
                    return failed
                group, size = [], 0
            group.append((number, entry))
            size += more
        return self._put(group)

    def _entries(self, records: list[Mapping[str, Any]]) -> Iterable[tuple[str, PutEventsRequestEntryTypeDef | None]]:
        for record in records:
            try:
                yield record["dynamodb"]["SequenceNumber"], self._entry(event_in(record))
            except (ValueError, KeyError) as error:
                _log("a record of the stream holds no event", error)
                yield record["dynamodb"]["SequenceNumber"], None

    def _entry(self, event: dict[str, Any]) -> PutEventsRequestEntryTypeDef:
        detail = {"schema_version": SCHEMA_VERSION, "event_id": event["hash"], "team": self._team, **event}
        text = to_json(detail)
        if len(text.encode()) > _MOST_BYTES:  # the whole of it is in the ledger
            text = to_json({**detail, "detail": {"omitted": f"{len(text)} characters"}})
        return {
            "EventBusName": self._bus,
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Time": datetime.fromisoformat(event["at"]),
            "Resources": [],
            "Detail": text,
        }

    def _put(self, group: list[tuple[str, PutEventsRequestEntryTypeDef]]) -> str | None:
        if not group:
            return None
        try:
            answers = self._client.put_events(Entries=[entry for _, entry in group])["Entries"]
        except (ClientError, BotoCoreError) as error:
            _log("the bus did not take the events", error)
            return group[0][0]
        for (number, _), answer in zip(group, answers, strict=True):
            if "ErrorCode" in answer:
                _log("the bus refused an event", answer)
                return number
        return None


def _log(what: str, why: object) -> None:
    print(json.dumps({"level": "ERROR", "message": what, "error": str(why)[:1000]}))
