"""Anchors: each event in one of them, none twice, none lost, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client

from labcycle_lambdas.anchor_age import age_line
from labcycle_lambdas.anchoring import handler
from labcycle_lambdas.anchoring.anchoring import Anchoring
from labcycle_lambdas.anchoring.store import AnchorStore, Taken, key_of
from labcycle_lambdas.ledger.anchors import Anchors
from labcycle_lambdas.ledger.custody import GENESIS, Custody, canonical
from labcycle_lambdas.ledger.table import Table, Throttled
from labcycle_lambdas.ledger.who import Who
from tests.unit.anchoring.conftest import BUCKET
from tests.unit.ledger.conftest import NAME, Clock, Faults

WHO = Who("scientist-1", "labcycle-fraud-scientist-1", "scientist-1")


def tell(custody: Custody, *subjects: str) -> None:
    for subject in subjects:
        custody.append(subject, "tag_set", WHO, {})


def anchors(s3: S3Client) -> list[dict[str, Any]]:
    """All anchors in order; that they follow each other, and hold one another's hash, is checked on the way."""
    found, previous = [], GENESIS
    for number, entry in enumerate(s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()), 1):
        content = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read()
        anchor = json.loads(content)
        assert entry["Key"] == key_of(number)
        assert (anchor["number"], anchor["previous"]) == (number, previous)
        assert anchor["root"] == hashlib.sha256(canonical(anchor["heads"])).hexdigest()
        previous = hashlib.sha256(content).hexdigest()
        found.append(anchor)
    return found


def heads(s3: S3Client) -> list[dict[str, int]]:
    return [{subject: head["seq"] for subject, head in anchor["heads"].items()} for anchor in anchors(s3)]


def test_an_anchor_holds_what_is_new(custody: Custody, anchoring: Anchoring, s3: S3Client, table: Table) -> None:
    assert anchoring.anchor() == []
    tell(custody, "model/a", "model/b", "model/a")
    (first,) = anchoring.anchor()
    assert (first.number, first.subjects) == (1, 2)
    assert anchoring.anchor() == []
    assert Anchors(table).oldest() == ""
    tell(custody, "model/b")
    anchoring.anchor()
    assert heads(s3) == [{"model/a": 2, "model/b": 1}, {"model/b": 2}]
    last = custody.events("model/b")[-1]
    assert anchors(s3)[1]["heads"]["model/b"]["hash"] == last.hash
    known = Anchors(table).last()
    assert known and known.number == 2


def test_more_than_one_anchor_holds(
    custody: Custody, anchoring: Anchoring, s3: S3Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labcycle_lambdas.anchoring.anchoring.MOST_EVENTS", 2)
    tell(custody, "run/1", "run/2", "run/3", "run/1", "run/4")
    anchoring.anchor()
    assert heads(s3) == [{"run/1": 1, "run/2": 1}, {"run/3": 1, "run/1": 2}, {"run/4": 1}]


def test_events_that_come_in_meanwhile_wait_for_the_next(
    custody: Custody, anchoring: Anchoring, s3: S3Client, faults: Faults
) -> None:
    tell(custody, "model/a")
    faults.before("PutObject", 0, lambda: tell(custody, "model/a", "model/b"))
    anchoring.anchor()
    assert "PutObject" in faults.struck
    assert heads(s3) == [{"model/a": 1}, {"model/a": 2, "model/b": 1}]


@pytest.mark.parametrize(
    ("operation", "call"),
    [("PutObject", 0), ("PutItem", 0), ("BatchWriteItem", 0), ("GetItem", 0), ("Query", 0)],
)
def test_a_crash_anywhere_is_mended_by_the_next_call(
    custody: Custody, anchoring: Anchoring, table: Table, s3: S3Client, faults: Faults, operation: str, call: int
) -> None:
    tell(custody, "model/a")
    anchoring.anchor()
    tell(custody, "model/a", "model/b", "model/c")

    def crash() -> None:
        raise KeyboardInterrupt  # what nothing catches: the function is gone

    faults.before(operation, call, crash)
    with pytest.raises(KeyboardInterrupt):
        anchoring.anchor()
    assert operation in faults.struck
    anchoring.anchor()
    assert heads(s3) == [{"model/a": 1}, {"model/a": 2, "model/b": 1, "model/c": 1}]
    assert Anchors(table).oldest() == ""


@pytest.mark.parametrize("calls", [(0,), (0, 1, 2, 3, 4, 5)])
def test_a_lost_answer_of_s3_makes_no_second_anchor(
    custody: Custody, anchoring: Anchoring, table: Table, s3: S3Client, faults: Faults, calls: tuple[int, ...]
) -> None:
    tell(custody, "model/a")
    faults.lose_answer("PutObject", *calls)
    try:
        anchoring.anchor()
    except Exception:  # noqa: BLE001 - where no answer came at all, the function fails
        anchoring.anchor()
    assert heads(s3) == [{"model/a": 1}]
    assert Anchors(table).oldest() == ""


def test_two_at_once_share_the_work(
    custody: Custody, anchoring: Anchoring, s3: S3Client, table: Table, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(custody, "model/a")
    write = AnchorStore.write

    def be_late(store: AnchorStore, number: int, content: bytes) -> None:
        monkeypatch.setattr(AnchorStore, "write", write)
        tell(custody, "model/b")
        Anchoring(Anchors(table), AnchorStore(s3, BUCKET), "fraud", clock).anchor()
        write(store, number, content)

    monkeypatch.setattr(AnchorStore, "write", be_late)
    assert anchoring.anchor() == []
    assert heads(s3) == [{"model/a": 1, "model/b": 1}]


def test_a_pointer_that_lags_is_moved_on(custody: Custody, anchoring: Anchoring, s3: S3Client, table: Table) -> None:
    for _ in range(3):
        tell(custody, "model/a")
        anchoring.anchor()
    table._client.delete_item(TableName=NAME, Key={"pk": {"S": "CUSTODY_ANCHOR"}, "sk": {"S": "LAST"}})
    tell(custody, "model/a")
    anchoring.anchor()
    assert heads(s3) == [{"model/a": 1}, {"model/a": 2}, {"model/a": 3}, {"model/a": 4}]


def test_a_number_is_written_once(s3: S3Client) -> None:
    store = AnchorStore(s3, BUCKET)
    store.write(1, b"{}")
    with pytest.raises(Taken):
        store.write(1, b"[]")
    assert (store.read(1), store.read(2)) == (b"{}", None)


def test_a_crash_between_two_batches_of_marks_anchors_nothing_twice(
    custody: Custody, anchoring: Anchoring, s3: S3Client, table: Table, faults: Faults
) -> None:
    tell(custody, *(f"run/{number}" for number in range(30)))

    def crash() -> None:
        raise KeyboardInterrupt

    faults.before("BatchWriteItem", 1, crash)
    with pytest.raises(KeyboardInterrupt):
        anchoring.anchor()
    assert len(list(Anchors(table).waiting())) == 5
    assert anchoring.anchor() == []
    assert Anchors(table).oldest() == ""
    assert [len(of_one) for of_one in heads(s3)] == [30]


def test_a_throttled_table_keeps_the_events_waiting(
    custody: Custody, anchoring: Anchoring, table: Table, s3: S3Client, faults: Faults
) -> None:
    tell(custody, "model/a")
    faults.refuse("BatchWriteItem", "ThrottlingException", *range(9))
    with pytest.raises(Throttled):
        anchoring.anchor()
    assert Anchors(table).oldest() != ""


def test_the_handler_tells_the_age_where_something_waited(
    custody: Custody, s3: S3Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"LEDGER_TABLE": NAME, "ANCHOR_BUCKET": BUCKET, "TEAM": "fraud"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    handler._made.cache_clear()
    assert handler.handle({}, None) == {"anchors": []}
    assert capsys.readouterr().out == ""
    tell(custody, "model/a")
    (anchor,) = handler.handle({}, None)["anchors"]
    told, age = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told["anchor"] == anchor
    assert age["OldestUnanchoredSeconds"] == 0
    tell(custody, "model/a")
    refusal = ClientError({"Error": {"Code": "SlowDown", "Message": "later"}}, "PutObject")

    def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(AnchorStore, "write", refuse)
    with pytest.raises(ClientError, match="SlowDown"):
        handler.handle({}, None)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["OldestUnanchoredSeconds"] > 0
    handler._made.cache_clear()


def test_the_age_in_cloudwatchs_form(clock: Clock) -> None:
    line = json.loads(age_line("fraud", "2026-03-01T00:00:00.000Z", clock()))
    assert line["OldestUnanchoredSeconds"] == 1.0
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "labcycle/fraud"
    assert directive["Dimensions"] == [["team"]]
    assert line["team"] == "fraud"
