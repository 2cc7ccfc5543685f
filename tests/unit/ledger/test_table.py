"""The table under concurrency, lost answers, throttling: what a caller is told is what happened."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from mypy_boto3_dynamodb import DynamoDBClient

from labcycle_lambdas.ledger.errors import Refused
from labcycle_lambdas.ledger.table import Changed, Check, Create, Delete, Exists, Item, Put, Replace, Table, Throttled
from tests.unit.ledger.conftest import NAME, Faults


def read(table: Table, pk: str = "p", sk: str = "s") -> Item:
    item = table.get(pk, sk)
    assert item
    return item


def test_documents_keep_what_json_can_say(table: Table) -> None:
    doc = {"text": "größer 😀", "none": None, "number": 1e308, "inf": float("-inf"), "list": [1, [2]], "": ""}
    table.write(Create("p", "s", doc))
    assert read(table) == Item("p", "s", doc, 1)
    assert table.get("p", "other") is None


def test_what_cannot_be_a_key_is_not_there(table: Table) -> None:
    assert table.get("", "s") is None
    assert table.get("p" * 2049, "s") is None
    assert table.get("p", "ü" * 513) is None
    assert list(table.query("")) == []


def test_a_document_too_large_for_an_item_is_refused_before_it_is_sent(table: Table, faults: Faults) -> None:
    faults.before("PutItem", 0, lambda: None)
    with pytest.raises(Refused, match="at most"):
        table.write(Create("p", "s", {"a": "x" * 400_000}))
    assert faults.struck == []


def test_create_replace_delete_hold_their_conditions(table: Table) -> None:
    table.write(Create("p", "s", {"n": 1}))
    with pytest.raises(Exists):
        table.write(Create("p", "s", {"n": 2}))
    old = read(table)
    table.write(Replace(old, {"n": 3}))
    with pytest.raises(Changed):
        table.write(Replace(old, {"n": 4}))
    with pytest.raises(Changed):
        table.write(Delete(old))
    assert read(table) == Item("p", "s", {"n": 3}, 2)
    table.write(Delete(read(table)))
    assert table.get("p", "s") is None


def test_compressed_documents_are_read_as_they_were_written(table: Table, client: DynamoDBClient) -> None:
    doc = {"text": "größer" * 1000, "nan": [1.5, None]}
    table.write(Create("p", "s", doc, compressed=True), Put("p", "t", doc, compressed=True))
    assert read(table).doc == read(table, sk="t").doc == doc
    stored = client.get_item(TableName=NAME, Key={"pk": {"S": "p"}, "sk": {"S": "s"}})["Item"]
    assert "doc" not in stored and len(stored["zip"]["B"]) < 200


def test_many_items_are_read_at_once_those_that_were_left_over_again(table: Table, faults: Faults) -> None:
    for number in range(120):
        table.write(Create("p", f"{number:03d}", {"n": number}))
    keys = [("p", f"{number:03d}") for number in range(130)] * 2 + [("", "")]
    assert {item.doc["n"] for item in table.get_many(keys).values()} == set(range(120))
    left = {NAME: {"Keys": [{"pk": {"S": "p"}, "sk": {"S": "007"}}], "ConsistentRead": True}}
    faults.say("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left}, 0)
    assert set(table.get_many([("p", "007")])) == {("p", "007")}
    faults.say("BatchGetItem", {"Responses": {}, "UnprocessedKeys": left}, *range(20))
    with pytest.raises(Throttled):
        table.get_many([("p", "007")])
    assert table.get_many([]) == {}


def test_many_items_are_deleted_at_once_those_that_were_left_over_again(table: Table, faults: Faults) -> None:
    for number in range(60):
        table.write(Create("p", f"{number:03d}", {}))
    left = {NAME: [{"DeleteRequest": {"Key": {"pk": {"S": "p"}, "sk": {"S": "007"}}}}]}
    faults.say("BatchWriteItem", {"UnprocessedItems": left}, 0)
    table.delete_many(("p", f"{number:03d}") for number in range(25))
    assert [item.sk for item in table.query("p")] == [f"{number:03d}" for number in range(60) if number != 7]
    table.delete_many(("p", f"{number:03d}") for number in range(70))
    assert list(table.query("p")) == []
    faults.say("BatchWriteItem", {"UnprocessedItems": left}, *range(20))
    with pytest.raises(Throttled):
        table.delete_many([("p", "007")])


def test_a_check_holds_the_others_back(table: Table) -> None:
    table.write(Create("p", "s", {"n": 1}))
    old = read(table)
    table.write(Check(old), Create("p", "new", {}))
    table.write(Replace(old, {"n": 2}))
    with pytest.raises(Changed):
        table.write(Check(old), Create("p", "newer", {}))
    assert table.get("p", "newer") is None and read(table).doc == {"n": 2}


def test_a_transaction_is_all_or_nothing(table: Table) -> None:
    table.write(Create("p", "taken", {}))
    with pytest.raises(Exists):
        table.write(Create("p", "new", {}), Create("p", "taken", {}))
    old = read(table, "p", "taken")
    table.write(Replace(old, {"n": 1}))
    with pytest.raises(Changed):
        table.write(Create("p", "new", {}), Replace(old, {"n": 2}))
    assert table.get("p", "new") is None
    table.write()  # nothing to do


def test_queries_read_page_by_page_in_order(table: Table) -> None:
    for number in range(25):
        table.write(Put("p", f"a{number:02d}", {"text": "x" * 100_000}))
    table.write(Put("p", "b", {}), Put("q", "a99", {}))
    assert [item.sk for item in table.query("p", "a")] == [f"a{n:02d}" for n in range(25)]
    assert [item.sk for item in table.query("p", after="a22")] == ["a23", "a24", "b"]


def test_one_of_many_wins_a_create(table: Table) -> None:
    def attempt(number: int) -> int | None:
        try:
            table.write(Create("p", "s", {"winner": number}))
        except Exists:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(attempt, range(16)) if number is not None]
    assert winners == [read(table).doc["winner"]]


def test_no_change_of_many_is_lost(table: Table) -> None:
    table.write(Create("p", "s", {"seen": []}))

    def add(number: int) -> bool:
        def work() -> None:
            item = read(table)
            table.write(Replace(item, {"seen": [*item.doc["seen"], number]}))

        try:
            table.until_unchanged(work)
        except Throttled:
            return False  # nothing was written, and the caller knows
        return True

    with ThreadPoolExecutor(6) as pool:
        done = [number for number, was in enumerate(pool.map(add, range(18))) if was]
    assert sorted(read(table).doc["seen"]) == done
    assert done


@pytest.mark.parametrize("kind", ["create", "replace", "delete"])
def test_a_write_whose_answer_was_lost_counts_as_done(table: Table, faults: Faults, kind: str) -> None:
    """The SDK repeats it, and its own first write must not look like a stranger's."""
    if kind != "create":
        table.write(Create("p", "s", {"n": 0}))
    write = (
        Create("p", "s", {"n": 1})
        if kind == "create"
        else Replace(read(table), {"n": 1})
        if kind == "replace"
        else Delete(read(table))
    )
    faults.lose_answer("DeleteItem" if kind == "delete" else "PutItem", 0)
    table.write(write)
    assert faults.struck
    found = table.get("p", "s")
    assert (found.doc if found else None) == (None if kind == "delete" else {"n": 1})


def test_a_transaction_whose_answer_was_lost_counts_as_done(table: Table, faults: Faults) -> None:
    table.write(Create("p", "head", {"n": 0}))
    head = read(table, "p", "head")
    faults.lose_answer("TransactWriteItems", 0)
    table.write(Replace(head, {"n": 1}), Create("p", "1", {}))
    assert faults.struck
    assert read(table, "p", "head") == Item("p", "head", {"n": 1}, 2)


def test_a_lost_transaction_that_another_one_overtook_counts_as_done(table: Table, faults: Faults) -> None:
    """Its head was moved on since, but the item that only it wrote is there: and it was all or nothing."""
    table.write(Create("p", "head", {"n": 0}))
    head = read(table, "p", "head")
    overtake = lambda: table.write(Replace(read(table, "p", "head"), {"n": 2}))
    faults.lose_answer("TransactWriteItems", 0, then=overtake)
    table.write(Replace(head, {"n": 1}), Create("p", "1", {"mine": True}))
    assert faults.struck
    assert read(table, "p", "head").doc == {"n": 2}
    assert read(table, "p", "1").doc == {"mine": True}


def test_a_stranger_who_was_faster_is_not_taken_for_oneself(table: Table, faults: Faults) -> None:
    faults.before("PutItem", 0, lambda: table.write(Put("p", "s", {"theirs": True})))
    with pytest.raises(Exists):
        table.write(Create("p", "s", {"mine": True}))
    assert read(table).doc == {"theirs": True}


@pytest.mark.parametrize(
    "code", ["ThrottlingException", "ProvisionedThroughputExceededException", "InternalServerError", "InternalFailure"]
)
def test_a_short_throttle_is_cured_by_the_sdk_and_a_long_one_is_told(table: Table, faults: Faults, code: str) -> None:
    faults.refuse("PutItem", code, 0)
    table.write(Create("p", "s", {}))
    faults.refuse("GetItem", code, *range(50))
    with pytest.raises(Throttled, match=code):
        table.get("p", "s")


def test_the_network_that_stays_away_is_a_throttle(table: Table, faults: Faults) -> None:
    faults.lose_answer("Query", *range(50))
    with pytest.raises(Throttled):
        list(table.query("p"))


def test_a_conflict_between_transactions_is_tried_again(table: Table, faults: Faults, client: DynamoDBClient) -> None:
    reasons = [{"Code": "TransactionConflict", "Message": "busy"}, {"Code": "None"}]
    faults.refuse("TransactWriteItems", "TransactionCanceledException", 0, 1, CancellationReasons=reasons)
    faults.refuse("PutItem", "TransactionConflictException", 0)
    table.write(Create("p", "a", {}), Create("p", "b", {}))
    table.write(Create("p", "c", {}))
    assert [item.sk for item in table.query("p")] == ["a", "b", "c"]
    assert len(faults.struck) == 3
    faults.refuse("TransactWriteItems", "TransactionCanceledException", *range(200), CancellationReasons=reasons)
    with pytest.raises(Throttled, match="too many"):
        table.write(Create("p", "d", {}), Create("p", "e", {}))


def test_a_mistake_of_ours_is_not_hidden(client: DynamoDBClient) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        Table(client, "no-such-table").get("p", "s")
    assert NAME != "no-such-table"


def test_every_read_is_strongly_consistent(table: Table, client: DynamoDBClient) -> None:
    """moto cannot show the difference, so that the calls themselves are looked at."""
    asked = []

    def note(params: dict[str, object], model: object, **rest: object) -> None:
        asked.append((getattr(model, "name", ""), params.get("ConsistentRead"), "IndexName" in params))

    client.meta.events.register("provide-client-params.dynamodb", note)
    table.get("p", "s")
    list(table.query("p"))
    assert asked == [("GetItem", True, False), ("Query", True, False)]
