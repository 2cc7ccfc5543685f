"""The DynamoDB in memory answers as moto does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from tests.unit.tracking.dynamodb import MemoryDynamoDB

KEYS = st.tuples(st.sampled_from("ab"), st.sampled_from(["1", "1/x", "1/y", "2", "é", "z" * 9]))
REVISIONS = st.integers(1, 3)


def _key(key: tuple[str, str]) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _item(key: tuple[str, str], rev: int) -> dict[str, Any]:
    return {**_key(key), "rev": {"N": str(rev)}, "doc": {"S": "ü" * rev}, "zip": {"B": b"x" * rev}}


def _condition(kind: str, rev: int) -> dict[str, Any]:
    shown = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    match kind:
        case "new":
            return {"ConditionExpression": "attribute_not_exists(pk)", **shown}
        case "same":
            values = {":rev": {"N": str(rev)}}
            return {"ConditionExpression": "rev = :rev", "ExpressionAttributeValues": values, **shown}
        case _:
            return {}


WRITES = st.builds(
    lambda kind, key, condition, expected, rev: (
        {"Put": {"TableName": "t", "Item": _item(key, rev), **_condition(condition, expected)}}
        if kind == "Put"
        else {kind: {"TableName": "t", "Key": _key(key), **_condition(condition if kind == "Delete" else "same", expected)}}
    ),
    st.sampled_from(["Put", "Put", "Delete", "ConditionCheck"]),
    KEYS,
    st.sampled_from(["", "new", "same"]),
    REVISIONS,
    REVISIONS,
)  # fmt: skip


def _query(pk: str, prefix: str, after: str, backward: bool, most: int) -> dict[str, Any]:
    values = {":pk": {"S": pk}, **({":prefix": {"S": prefix}} if prefix else {})}
    return {
        "TableName": "t",
        "KeyConditionExpression": "#pk = :pk" + (" AND begins_with(#sk, :prefix)" if prefix else ""),
        "ExpressionAttributeNames": {"#pk": "pk", **({"#sk": "sk"} if prefix else {})},
        "ExpressionAttributeValues": values,
        "ConsistentRead": True,
        "ScanIndexForward": not backward,
        **({"Limit": most} if most else {}),
        **({"ExclusiveStartKey": _key((pk, after))} if after else {}),
    }


CALLS = st.one_of(
    WRITES.filter(lambda write: "ConditionCheck" not in write).map(
        lambda write: ("put_item", write["Put"]) if "Put" in write else ("delete_item", write["Delete"])
    ),
    st.lists(WRITES, min_size=1, max_size=4, unique_by=lambda write: str(_of(write))).map(
        lambda writes: ("transact_write_items", {"TransactItems": writes})
    ),
    KEYS.map(lambda key: ("get_item", {"TableName": "t", "Key": _key(key), "ConsistentRead": True})),
    st.lists(KEYS, min_size=1, max_size=5, unique=True).map(
        lambda keys: (
            "batch_get_item",
            {"RequestItems": {"t": {"Keys": [_key(k) for k in keys], "ConsistentRead": True}}},
        )
    ),
    st.builds(
        lambda pk, prefix, after, backward, most: ("query", _query(pk, prefix, after, backward, most)),
        st.sampled_from("ab"),
        st.sampled_from(["", "1", "1/", "é"]),
        st.sampled_from(["", "1", "1/x", "2"]),
        st.booleans(),
        st.sampled_from([0, 0, 2]),
    ),
)


def _of(write: dict[str, Any]) -> Any:
    (inner,) = write.values()
    key = inner.get("Key") or inner["Item"]
    return key["pk"], key["sk"]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client(
            "dynamodb", region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )


def _said(client: Any, name: str, arguments: dict[str, Any]) -> Any:
    try:
        answer = getattr(client, name)(**arguments)
    except ClientError as error:
        said: dict[str, Any] = dict(error.response)
        reasons = [(reason.get("Code"), reason.get("Item")) for reason in said.get("CancellationReasons", [])]
        return said["Error"]["Code"], said.get("Item"), reasons
    found = {key: value for key, value in answer.items() if key in ("Item", "Items", "LastEvaluatedKey", "Count")}
    if "Responses" in answer:
        found["Responses"] = sorted(answer["Responses"]["t"], key=str)
    return found


@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.lists(CALLS, min_size=5, max_size=25))
def test_it_answers_as_moto_does(client: Any, calls: list[tuple[str, dict[str, Any]]]) -> None:
    memory, moto = MemoryDynamoDB(), BotocoreStubber.__call__
    schema = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]}
    kinds = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
    client.create_table(TableName="t", AttributeDefinitions=kinds, BillingMode="PAY_PER_REQUEST", **schema)
    try:
        for name, arguments in calls:
            expected = _said(client, name, arguments)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    BotocoreStubber, "__call__", lambda self, event_name, request, **rest: memory.answer(request)
                )
                found = _said(client, name, arguments)
            assert found == expected, (name, arguments)
    finally:
        assert BotocoreStubber.__call__ is moto
        client.delete_table(TableName="t")


def test_units_are_counted_as_dynamodb_charges() -> None:
    memory = MemoryDynamoDB()

    def write(*items: dict[str, Any]) -> None:
        memory._write_all({"TransactItems": [{"Put": {"Item": item}} for item in items]})

    small, large = {**_key(("a", "1")), "doc": {"S": "x" * 100}}, {**_key(("a", "2")), "doc": {"S": "x" * 5000}}
    memory._write_one("Put", {"Item": small})
    assert memory.write_units == 1
    memory._write_one("Put", {"Item": large})
    assert memory.write_units == 1 + 5
    write(small, {**large, "doc": {"S": ""}})  # charged by what was there, twice
    assert memory.write_units == 6 + 2 * (1 + 5)
    memory._get({"Key": _key(("a", "9")), "ConsistentRead": True})
    assert memory.read_units == 1
    memory._query(_query("a", "", "", False, 0))
    assert memory.read_units == 2
