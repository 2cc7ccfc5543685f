"""The chain of custody: whole under concurrency and lost answers, and any tampering shows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger.custody import GENESIS, Custody, News
from labcycle_lambdas.ledger.table import Create, Exists, Put, Table, Throttled
from labcycle_lambdas.ledger.who import Who
from tests.unit.ledger.conftest import NAME, Clock, Faults

WHO = Who("reviewer-1", "labcycle-fraud-reviewer-1", "reviewer-1")
SUBJECT = "model/cards"


@pytest.fixture
def custody(table: Table, clock: Clock) -> Custody:
    return Custody(table, clock)


def tell(custody: Custody, count: int = 3) -> None:
    for number in range(count):
        custody.append(SUBJECT, "promoted", WHO, {"version": number})


def test_events_follow_each_other(custody: Custody) -> None:
    tell(custody)
    events = custody.events(SUBJECT)
    assert [event.seq for event in events] == [1, 2, 3]
    assert events[0].previous == GENESIS
    assert [event.previous for event in events[1:]] == [event.hash for event in events[:-1]]
    assert events[0].at == "2026-03-01T00:00:01.000Z"
    assert events[0].who == {"member": "reviewer-1", "role": "labcycle-fraud-reviewer-1", "session": "reviewer-1"}
    assert custody.verify(SUBJECT) == []
    assert custody.events("model/other") == []
    assert custody.verify("model/other") == []


def raw(client: DynamoDBClient, sk: str) -> dict[str, Any]:
    return client.get_item(TableName=NAME, Key={"pk": {"S": f"CUSTODY#{SUBJECT}"}, "sk": {"S": sk}})["Item"]


def tamper(client: DynamoDBClient, sk: str, **fields: Any) -> None:
    """Change a stored document past the ledger, as somebody with the table's key could."""
    item = raw(client, sk)
    doc = json.loads(item["doc"]["S"]) | fields
    client.put_item(TableName=NAME, Item=item | {"doc": {"S": json.dumps(doc)}})


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"detail": {"version": 9}}, "event 2 was changed"),
        ({"at": "2020-01-01T00:00:00.000Z"}, "event 2 was changed"),
        ({"who": {"member": "x", "role": "", "session": ""}}, "event 2 was changed"),
        ({"hash": "0" * 64}, "event 3 does not follow"),
        ({"seq": 7}, "event 2 is missing"),
    ],
)
def test_a_changed_event_shows(custody: Custody, client: DynamoDBClient, fields: dict[str, Any], said: str) -> None:
    tell(custody)
    tamper(client, f"{2:012d}", **fields)
    assert any(said in problem for problem in custody.verify(SUBJECT))


def test_an_event_rewritten_with_a_fitting_hash_breaks_the_one_behind(custody: Custody, client: DynamoDBClient) -> None:
    tell(custody)
    event = custody.events(SUBJECT)[1]
    forged = type(event)(**{**event.__dict__, "detail": {"version": 9}})
    tamper(client, f"{2:012d}", detail={"version": 9}, hash=forged.computed_hash())
    assert custody.verify(SUBJECT) == [f"{SUBJECT}: event 3 does not follow from the event before it"]


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_removed_event_shows(custody: Custody, client: DynamoDBClient, gone: int) -> None:
    tell(custody)
    client.delete_item(TableName=NAME, Key={"pk": {"S": f"CUSTODY#{SUBJECT}"}, "sk": {"S": f"{gone:012d}"}})
    assert custody.verify(SUBJECT)


def test_a_changed_or_removed_head_shows(custody: Custody, client: DynamoDBClient) -> None:
    tell(custody)
    tamper(client, "HEAD", seq=2)
    assert custody.verify(SUBJECT) == [f"{SUBJECT}: the head of the chain does not match its last event"]
    client.delete_item(TableName=NAME, Key={"pk": {"S": f"CUSTODY#{SUBJECT}"}, "sk": {"S": "HEAD"}})
    assert custody.verify(SUBJECT) == [f"{SUBJECT}: the head of the chain does not match its last event"]


def test_many_at_once_make_one_chain(custody: Custody) -> None:
    def append(number: int) -> int | None:
        try:
            return custody.append(SUBJECT, "registered", WHO, {"n": number}).seq
        except Throttled:
            return None

    with ThreadPoolExecutor(24) as pool:
        seqs = [seq for seq in pool.map(append, range(24)) if seq]
    assert sorted(seqs) == list(range(1, len(seqs) + 1))
    assert seqs
    assert custody.verify(SUBJECT) == []


@pytest.mark.parametrize("call", [0, 1, 2])
def test_an_event_whose_answer_was_lost_is_told_once(custody: Custody, faults: Faults, call: int) -> None:
    faults.lose_answer("TransactWriteItems", call)
    tell(custody)
    assert faults.struck
    assert [event.detail["version"] for event in custody.events(SUBJECT)] == [0, 1, 2]
    assert custody.verify(SUBJECT) == []


def test_what_is_written_with_an_event_is_written_with_it_or_not_at_all(custody: Custody, table: Table) -> None:
    custody.append(SUBJECT, "registered", WHO, {}, Create("p", "s", {}))
    with pytest.raises(Exists):
        custody.append(SUBJECT, "registered", WHO, {}, Create("p", "s", {}), Create("p", "other", {}))
    assert len(custody.events(SUBJECT)) == 1
    assert table.get("p", "other") is None


@pytest.mark.parametrize("call", [0, 1])
def test_several_events_are_told_one_behind_the_other_or_not_at_all(
    custody: Custody, faults: Faults, table: Table, call: int
) -> None:
    news = [News(action, WHO, {"n": number}) for number, action in enumerate(("drift_detected", "value_fell"))]
    faults.lose_answer("TransactWriteItems", call)
    custody.append_all(SUBJECT, news, Create("p", "s", {}))
    with pytest.raises(Exists):
        custody.append_all(SUBJECT, news, Create("p", "s", {}))
    events = custody.append_all(SUBJECT, news)
    assert [event.seq for event in events] == [3, 4]
    assert [event.action for event in custody.events(SUBJECT)] == ["drift_detected", "value_fell"] * 2
    assert custody.verify(SUBJECT) == []


def test_an_event_that_another_overtakes_is_linked_anew(custody: Custody, faults: Faults, table: Table) -> None:
    tell(custody, 1)
    other = Custody(table)

    def be_faster() -> None:
        other.append(SUBJECT, "alias_set", WHO, {})

    faults.before("TransactWriteItems", 0, be_faster)
    event = custody.append(SUBJECT, "promoted", WHO, {}, Put("p", "s", {}))
    assert event.seq == 3
    assert [e.action for e in custody.events(SUBJECT)] == ["promoted", "alias_set", "promoted"]
    assert custody.verify(SUBJECT) == []
