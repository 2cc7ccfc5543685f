"""DynamoDB in memory, at the wire: what the ledger asks for, ten times as fast as moto, atomic, and with its units counted.

Plays one table with the keys `pk` and `sk`. A condition or an operation that it does not know is an error of the test, never
an answer. `test_dynamodb.py` holds it against moto. Sizes and units:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from __future__ import annotations

import base64
import json
import math
import re
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

Item = dict[str, dict[str, str]]
PAGE_BYTES = 1_000_000  # of a query; "1 MB", and the smaller reading of it
BATCH_BYTES = 16_000_000
ITEM_BYTES = 400_000
TRANSACTION_BYTES = 4_000_000
_HEADERS = HTTPHeaders.from_dict({"content-type": "application/x-amz-json-1.0"})
_KEY_CONDITION = re.compile(r"#pk = :pk( AND begins_with\(#sk, :prefix\))?")


class Raw:
    """The stream of an answer."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *arguments: Any, **more: Any) -> Any:
        yield self._content

    def read(self, *arguments: Any, **more: Any) -> bytes:
        return self._content


class Refused(Exception):
    """DynamoDB's own error."""

    def __init__(self, code: str, message: str = "", **fields: Any) -> None:
        super().__init__(message or code)
        self.document = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message or code, **fields}


class MemoryDynamoDB:
    """`calls`, `read_units` and `write_units` count since the last `count_anew`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, dict[str, Item]] = {}
        self._order: dict[str, list[str]] = {}
        self._tokens: set[str] = set()
        self.count_anew()

    def count_anew(self) -> None:
        self.calls: list[str] = []
        self.read_units = 0.0
        self.write_units = 0

    def answer(self, request: Any) -> AWSResponse:
        """The answer to a request as botocore prepared it."""
        operation = _text(request.headers["X-Amz-Target"]).rpartition(".")[2]
        body = json.loads(request.body)
        with self._lock:
            self.calls.append(operation)
            try:
                document, status = self._operations()[operation](body), 200
            except Refused as refused:
                document, status = refused.document, 400
        content = json.dumps(document, separators=(",", ":")).encode()
        return AWSResponse(request.url, status, _HEADERS, Raw(content))

    def items(self) -> list[Item]:
        """All of them, in the order of their keys."""
        return [self._items[pk][sk] for pk in sorted(self._order) for sk in self._order[pk]]

    def keep(self) -> Any:
        """All records, for `put_back`. Items are never changed in place."""
        return (
            {pk: dict(items) for pk, items in self._items.items()},
            {pk: list(order) for pk, order in self._order.items()},
        )

    def put_back(self, kept: Any) -> None:
        self._items, self._order = (
            {pk: dict(i) for pk, i in kept[0].items()},
            {pk: list(o) for pk, o in kept[1].items()},
        )
        self._tokens.clear()

    def _operations(self) -> dict[str, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {
            "GetItem": self._get,
            "BatchGetItem": self._get_many,
            "Query": self._query,
            "PutItem": lambda body: self._write_one("Put", body),
            "DeleteItem": lambda body: self._write_one("Delete", body),
            "TransactWriteItems": self._write_all,
        }

    def _get(self, body: dict[str, Any]) -> dict[str, Any]:
        item = self._find(body["Key"])
        self._count_read(_bytes(item), body["ConsistentRead"])
        return {"Item": item} if item else {}

    def _get_many(self, body: dict[str, Any]) -> dict[str, Any]:
        (table, asked), *others = body["RequestItems"].items()
        assert not others
        keys = asked["Keys"]
        if not 1 <= len(keys) <= 100 or len({_key(key) for key in keys}) < len(keys):
            raise Refused("ValidationException", f"{len(keys)} keys, or one of them twice")
        found, left, size = [], [], 0
        for key in keys:
            item = self._find(key)
            size += _bytes(item)
            if size > BATCH_BYTES:
                left.append(key)
                continue
            self._count_read(_bytes(item), asked["ConsistentRead"])
            if item:
                found.append(item)
        return {"Responses": {table: found}, "UnprocessedKeys": {table: {**asked, "Keys": left}} if left else {}}

    def _query(self, body: dict[str, Any]) -> dict[str, Any]:
        match = _KEY_CONDITION.fullmatch(body["KeyConditionExpression"])
        assert match, body["KeyConditionExpression"]
        assert not {"FilterExpression", "ProjectionExpression", "IndexName", "Select"} & body.keys(), body
        assert body["ExpressionAttributeNames"] == ({"#pk": "pk", "#sk": "sk"} if match[1] else {"#pk": "pk"})
        values = body["ExpressionAttributeValues"]
        pk, prefix = values[":pk"]["S"], values[":prefix"]["S"] if match[1] else ""
        order = self._order.get(pk, [])
        begin = bisect_left(order, prefix.encode(), key=str.encode)
        end = bisect_left(order, prefix.encode() + b"\xff", key=str.encode)
        backward = not body.get("ScanIndexForward", True)
        if start := body.get("ExclusiveStartKey"):
            after = start["sk"]["S"].encode()
            if backward:
                end = min(end, bisect_left(order, after, key=str.encode))
            else:
                begin = max(begin, bisect_right(order, after, key=str.encode))
        wanted = order[begin:end]
        found: list[Item] = []
        size, most = 0, body.get("Limit", math.inf)
        more = False
        for sk in reversed(wanted) if backward else wanted:
            item = self._items[pk][sk]
            if found and (size + _bytes(item) > PAGE_BYTES or len(found) >= most):
                more = True
                break
            size += _bytes(item)
            found.append(item)
        self._count_read(size, body["ConsistentRead"])
        last = {"LastEvaluatedKey": {name: found[-1][name] for name in ("pk", "sk")}} if more else {}
        return {"Items": found, "Count": len(found), "ScannedCount": len(found), **last}

    def _write_one(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        there = self._find(body.get("Item") or body["Key"])
        self.write_units += _units(kind, body, there)
        if not _holds(body, there):
            shown = {"Item": there} if there and body.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
            raise Refused("ConditionalCheckFailedException", "The conditional request failed", **shown)
        self._apply(kind, body)
        return {}

    def _write_all(self, body: dict[str, Any]) -> dict[str, Any]:
        writes = [next(iter(write.items())) for write in body["TransactItems"]]
        keys = [_key(inner.get("Item") or inner["Key"]) for _, inner in writes]
        size = sum(_bytes(inner.get("Item")) for _, inner in writes)
        if not 1 <= len(writes) <= 100 or len(set(keys)) < len(keys) or size > TRANSACTION_BYTES:
            raise Refused("ValidationException", f"{len(writes)} writes of {size} bytes, or two of one item")
        there = [self._find(inner.get("Item") or inner["Key"]) for _, inner in writes]
        for (kind, inner), item in zip(writes, there, strict=True):
            self.write_units += 2 * _units(kind, inner, item)
        if (token := body.get("ClientRequestToken")) and token in self._tokens:
            return {}
        reasons: list[dict[str, Any]] = []
        for (_, inner), item in zip(writes, there, strict=True):
            if _holds(inner, item):
                reasons.append({"Code": "None"})
                continue
            shown = {"Item": item} if item and inner.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else {}
            reasons.append({"Code": "ConditionalCheckFailed", "Message": "The conditional request failed", **shown})
        if any(reason["Code"] != "None" for reason in reasons):
            raise Refused("TransactionCanceledException", "Transaction cancelled", CancellationReasons=reasons)
        for kind, inner in writes:
            if kind == "Put" and _bytes(inner["Item"]) > ITEM_BYTES:
                raise Refused("ValidationException", "Item size has exceeded the maximum allowed size")
        for kind, inner in writes:
            self._apply(kind, inner)
        if token:
            self._tokens.add(token)
        return {}

    def _apply(self, kind: str, body: dict[str, Any]) -> None:
        pk, sk = _key(body.get("Item") or body["Key"])
        if kind == "Put":
            if _bytes(body["Item"]) > ITEM_BYTES:
                raise Refused("ValidationException", "Item size has exceeded the maximum allowed size")
            if sk not in self._items.setdefault(pk, {}):
                insort(self._order.setdefault(pk, []), sk, key=str.encode)
            self._items[pk][sk] = body["Item"]
        elif kind == "Delete":
            if self._items.get(pk, {}).pop(sk, None) is not None:
                self._order[pk].remove(sk)
        else:
            assert kind == "ConditionCheck", kind

    def _find(self, key: Item) -> Item | None:
        pk, sk = _key(key)
        return self._items.get(pk, {}).get(sk)

    def _count_read(self, size: int, consistent: bool) -> None:
        self.read_units += max(1, math.ceil(size / 4096)) / (1 if consistent else 2)


def _holds(body: dict[str, Any], there: Item | None) -> bool:
    match body.get("ConditionExpression"):
        case None:
            return True
        case "attribute_not_exists(pk)":
            return there is None
        case "rev = :rev":
            return there is not None and there["rev"] == body["ExpressionAttributeValues"][":rev"]
        case other:
            raise AssertionError(f"a condition that is not played: {other}")


def _units(kind: str, body: dict[str, Any], there: Item | None) -> int:
    """Of the larger of the two: the item before and after."""
    return max(1, math.ceil(max(_bytes(there), _bytes(body["Item"]) if kind == "Put" else 0) / 1024))


def _bytes(item: Item | None) -> int:
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items()) if item else 0


def _value_bytes(value: dict[str, str]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return len(content.lstrip("-0").replace(".", "")) // 2 + 2
        case "B":
            return len(base64.b64decode(content))
        case other:
            raise AssertionError(f"an attribute type that is not played: {other}")


def _key(item: Item) -> tuple[str, str]:
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if not (0 < len(pk.encode()) <= 2048 and 0 < len(sk.encode()) <= 1024):
        raise Refused("ValidationException", "One or more parameter values are not valid: a key is empty or too long")
    return pk, sk


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
