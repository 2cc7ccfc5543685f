"""Events on their way from the table's stream to the bus."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle.tracking.custody import EVENTS_ONLY
from labcycle_lambdas.ledger.custody import Custody
from labcycle_lambdas.ledger.registry import PinnedFile, Registry
from labcycle_lambdas.ledger.table import Table
from labcycle_lambdas.ledger.who import Who
from labcycle_lambdas.outbox import handler
from labcycle_lambdas.outbox.environment import Environment
from labcycle_lambdas.outbox.outbox import Outbox
from tests.unit.ledger.conftest import NAME, Faults, client, clock, faults, table  # noqa: F401

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "custody-event.schema.json").read_text())
WHO = Who("scientist-1", "labcycle-fraud-scientist-1", "scientist-1")


class Bus:
    """Takes what is put, but refuses the entry `refused` (counted from 0) once, or each call with `error`."""

    def __init__(self, refused: int = -1, error: Exception | None = None) -> None:
        self.taken: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self._refused, self._error, self._seen = refused, error, 0

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:
        if self._error:
            raise self._error
        self.calls.append(len(Entries))
        assert len(Entries) <= 10
        assert sum(len(entry["Detail"].encode()) for entry in Entries) < 256_000
        answers: list[dict[str, str]] = []
        for entry in Entries:
            refused = self._seen == self._refused
            self._seen += 1
            answers.append({"ErrorCode": "ThrottlingException"} if refused else {"EventId": "e"})
            if not refused:
                self.taken.append(json.loads(entry["Detail"]))
        return {"Entries": answers}


def is_let_through(record: dict[str, Any]) -> bool:
    """As the event source's filter says."""
    keys = record["dynamodb"]["Keys"]
    wanted = EVENTS_ONLY["dynamodb"]["Keys"]  # type: ignore[index]
    prefix, not_this = wanted["pk"]["S"][0]["prefix"], wanted["sk"]["S"][0]["anything-but"]
    return (
        record["eventName"] in EVENTS_ONLY["eventName"]
        and keys["pk"]["S"].startswith(prefix)
        and keys["sk"]["S"] not in not_this
    )


def stream(client: DynamoDBClient) -> list[dict[str, Any]]:  # noqa: F811
    """All items as a stream would tell that they were written, those of custody in their order."""
    items: list[Any] = []
    for page in client.get_paginator("scan").paginate(TableName=NAME):
        items += page["Items"]
    items.sort(key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
    return [
        {
            "eventName": "INSERT",
            "dynamodb": {
                "SequenceNumber": str(1000 + number),
                "Keys": {"pk": item["pk"], "sk": item["sk"]},
                "NewImage": item,
            },
        }
        for number, item in enumerate(items)
    ]


@pytest.fixture
def records(table: Table, client: DynamoDBClient) -> list[dict[str, Any]]:  # noqa: F811
    registry = Registry(table)
    registry.register("cards", {"k": "v" * 5000}, "über cards", WHO)
    for _ in range(13):
        registry.create_version("cards", source="s3://b/m", who=WHO, files=[PinnedFile("a", "k", "v", 1)])
    registry.set_alias("cards", "champion", 1, WHO)
    found = [record for record in stream(client) if is_let_through(record)]
    assert len(found) == 15
    return found


def numbers(bus: Bus) -> list[int]:
    return [event["seq"] for event in bus.taken]


def test_every_event_is_sent_in_order_and_fits_the_schema(records: list[Any], table: Table) -> None:  # noqa: F811
    bus = Bus()
    assert Outbox(bus, "bus", "fraud").send(records) is None  # type: ignore[arg-type]
    assert bus.calls == [10, 5]
    assert numbers(bus) == list(range(1, 16))
    for event, kept in zip(bus.taken, Custody(table).events("model/cards"), strict=True):
        jsonschema.validate(event, SCHEMA)
        assert (event["event_id"], event["team"], event["who"]["member"]) == (kept.hash, "fraud", "scientist-1")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**bus.taken[0], "schema_version": 2}, SCHEMA)


@pytest.mark.parametrize("refused", [0, 4, 10, 14])
def test_a_refused_event_is_where_lambda_calls_again(records: list[Any], refused: int) -> None:
    bus = Bus(refused)
    outbox = Outbox(bus, "bus", "fraud")  # type: ignore[arg-type]
    failed = outbox.send(records)
    assert failed == records[refused]["dynamodb"]["SequenceNumber"]
    again = [r for r in records if r["dynamodb"]["SequenceNumber"] >= failed]
    assert outbox.send(again) is None
    assert sorted(set(numbers(bus))) == list(range(1, 16))


def test_a_bus_that_takes_nothing_loses_nothing(records: list[Any]) -> None:
    error = ClientError({"Error": {"Code": "InternalException", "Message": ""}}, "PutEvents")
    assert Outbox(Bus(error=error), "b", "t").send(records) == records[0]["dynamodb"]["SequenceNumber"]  # type: ignore[arg-type]


def test_what_holds_no_event_is_reported_and_does_not_hold_up_those_before(records: list[Any]) -> None:
    records[3]["dynamodb"]["NewImage"]["doc"]["S"] = "{"
    bus = Bus()
    assert Outbox(bus, "b", "t").send(records) == records[3]["dynamodb"]["SequenceNumber"]  # type: ignore[arg-type]
    assert numbers(bus) == [1, 2, 3]


def test_an_event_too_large_for_the_bus_comes_without_its_detail(
    table: Table,  # noqa: F811
    client: DynamoDBClient,  # noqa: F811
) -> None:
    Custody(table).append("model/cards", "tag_set", WHO, {"value": "v" * 300_000})
    bus = Bus()
    assert Outbox(bus, "b", "t").send([r for r in stream(client) if is_let_through(r)]) is None  # type: ignore[arg-type]
    (event,) = bus.taken
    jsonschema.validate(event, SCHEMA)
    assert "omitted" in event["detail"]


def test_the_handler_reports_what_failed_and_how_long_events_wait(
    records: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    faults: Faults,  # noqa: F811
) -> None:
    for name, value in {"LEDGER_TABLE": NAME, "EVENT_BUS": "labcycle-fraud", "TEAM": "fraud"}.items():
        monkeypatch.setenv(name, value)
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    handler._made.cache_clear()
    bus = Bus(2)
    monkeypatch.setattr(handler._made(Environment.read())[0], "_client", bus)
    failed = records[2]["dynamodb"]["SequenceNumber"]
    assert handler.handle({"Records": records}, None) == {"batchItemFailures": [{"itemIdentifier": failed}]}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "refused" in lines[0]["message"]
    assert lines[-1]["OldestUnanchoredSeconds"] >= 0
    assert handler.handle({"Records": records}, None) == {"batchItemFailures": []}
    faults.refuse("Query", "ThrottlingException", *range(20))
    assert handler.handle({"Records": records}, None) == {"batchItemFailures": []}, "they are sent"
    assert "Query" in faults.struck
    handler._made.cache_clear()
