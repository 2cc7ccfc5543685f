"""The ledger's one DynamoDB table: documents under (partition, sort) keys, each with a revision.

Every read is strongly consistent. Every conditional write carries a token of its own, so that a write whose answer was
lost and which the SDK repeats is recognised as done rather than refused as a conflict with itself.
"""

from __future__ import annotations

import json
import random
import time
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from labcycle_lambdas.ledger.errors import Refused

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Doc = dict[str, Any]
T = TypeVar("T")
_USED = "used"  # of a counter
EXPIRES = "expires"  # the attribute that DynamoDB's time to live looks at
_THROTTLES = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionInProgressException",
}
_CHANGE_ATTEMPTS = 20
_DOCUMENT_BYTES = 395_000  # an item holds 400 KB, its keys included
_DELETED_AT_ONCE = 25
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
_READ_AT_ONCE = 100
# https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
_TRANSACTION_ITEMS = 100
_TRANSACTION_BYTES = 3_900_000  # of 4 MB
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-dynamodb-transactions


class Exists(Exception):
    """The item is there already."""


class Changed(Exception):
    """Somebody else changed the item in between."""


class Repeated(Exception):
    """The request that is written here was done before, under the same mark."""


class _Busy(Exception):
    """Another transaction on the same item is under way."""


class Throttled(Exception):
    """DynamoDB did not take the call, repeats included; the caller may try again later."""


@dataclass(frozen=True)
class Item:
    """A document as it was read. `rev` counts its changes, from 1."""

    pk: str
    sk: str
    doc: Doc
    rev: int


@dataclass(frozen=True)
class Create:
    """Write a document that is not there yet. `compressed`: worth it for what is large and written once."""

    pk: str
    sk: str
    doc: Doc
    compressed: bool = False


@dataclass(frozen=True)
class Mark(Create):
    """Says that a request was done: written together with what it did, and gone some days after `expires` (seconds since
    1970). Where it is there already, the request was done before: the write raises `Repeated`, whatever else fails."""

    expires: int = 0


@dataclass(frozen=True)
class Put:
    """Write a document (or its JSON), whatever is there: for documents whose key is made from their content."""

    pk: str
    sk: str
    doc: Doc | str
    compressed: bool = False


@dataclass(frozen=True)
class Replace:
    """Change a document that must still be as it was read."""

    item: Item
    doc: Doc


@dataclass(frozen=True)
class Delete:
    """Remove a document that must still be as it was read."""

    item: Item


@dataclass(frozen=True)
class Check:
    """Write nothing, but only together with others: a document must still be as it was read."""

    item: Item


Write = Create | Put | Replace | Delete | Check


class Table:
    """Access to the table `name` through the low-level `client`."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, pk: str, sk: str) -> Item | None:
        """The item, or None. Raises `Throttled`."""
        if not _is_key(pk, sk):
            return None
        with _translated():
            answer = self._client.get_item(
                TableName=self._name, Key={"pk": {"S": pk}, "sk": {"S": sk}}, ConsistentRead=True
            )
        return _item(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        """The items that are there, by their keys; each key is asked for once. Raises `Throttled`."""
        wanted = list(dict.fromkeys(key for key in keys if _is_key(*key)))
        found: dict[tuple[str, str], Item] = {}
        for start in range(0, len(wanted), _READ_AT_ONCE):
            left: Any = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in wanted[start : start + _READ_AT_ONCE]]
            for attempt in range(_CHANGE_ATTEMPTS):
                with _translated():
                    answer = self._client.batch_get_item(
                        RequestItems={self._name: {"Keys": left, "ConsistentRead": True}}
                    )
                for raw in answer["Responses"].get(self._name, []):
                    item = _item(raw)
                    found[item.pk, item.sk] = item
                if self._name not in (unprocessed := answer.get("UnprocessedKeys") or {}):
                    break
                left = unprocessed[self._name]["Keys"]
                pause(attempt)
            else:
                raise Throttled("DynamoDB did not answer for all items")
        return found

    def query(
        self,
        pk: str,
        prefix: str = "",
        *,
        after: str | None = None,
        last_first: bool = False,
        page_items: int | None = None,
    ) -> Iterator[Item]:
        """Items of a partition whose sort key starts with `prefix`, in the order of their sort keys, read page by page.

        `after`: only those behind this sort key. `last_first`: in the other direction, which `after` goes in too.
        `page_items`: so many are read at once; absent, as many as are in 1 MB.
        """
        if not _is_key(pk, prefix or "-"):
            return
        names = {"#pk": "pk"}
        values: dict[str, Any] = {":pk": {"S": pk}}
        condition = "#pk = :pk"
        if prefix:
            names["#sk"] = "sk"
            values[":prefix"] = {"S": prefix}
            condition += " AND begins_with(#sk, :prefix)"
        start: dict[str, Any] | None = {"pk": {"S": pk}, "sk": {"S": after}} if after is not None else None
        while True:
            arguments: dict[str, Any] = {
                "TableName": self._name,
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": values,
                "ConsistentRead": True,
                "ScanIndexForward": not last_first,
            }
            if start:
                arguments["ExclusiveStartKey"] = start
            if page_items:
                arguments["Limit"] = page_items
            with _translated():
                page = self._client.query(**arguments)
            for raw in page["Items"]:
                yield _item(raw)
            start = page.get("LastEvaluatedKey")
            if not start:
                return

    def write(self, *writes: Write) -> None:
        """All of `writes` or none. One is a plain write; several (100 at most) are a transaction, at twice the price.

        Raises
        ------
        Exists, Changed, Repeated
            If a condition does not hold; nothing was written.
        Refused
            If a document is larger than an item can be, or all together are more than a transaction can be.
        Throttled
            If DynamoDB took none of it.
        """
        token = uuid.uuid4().hex
        requests = [_request(self._name, write, token) for write in writes]
        if len(requests) > 1:
            _check_transaction(requests)
        for attempt in range(_CHANGE_ATTEMPTS):
            try:
                if len(requests) == 1:
                    self._write_one(writes[0], requests[0], token)
                elif requests:
                    self._write_all(writes, requests, token)
                return
            except _Busy:
                pause(attempt)
        raise Throttled("the item is written by too many at once")

    def count_up(self, pk: str, sk: str, amount: int, *, most: int, expires: int) -> int:
        """Add up to `amount` to the counter under this key, which never passes `most`; how much was added.

        It is no document: `counters` reads it. Of calls at the same time each gets what the others left. A call whose answer
        was lost may have added. Raises `Throttled`.
        """
        while amount > 0:
            try:
                with _translated():
                    self._client.update_item(
                        TableName=self._name,
                        Key={"pk": {"S": pk}, "sk": {"S": sk}},
                        UpdateExpression="SET #expires = :expires ADD #used :amount",
                        ConditionExpression="attribute_not_exists(#used) OR #used <= :room",
                        ExpressionAttributeNames={"#expires": EXPIRES, "#used": _USED},
                        ExpressionAttributeValues={
                            ":expires": {"N": str(expires)},
                            ":amount": {"N": str(amount)},
                            ":room": {"N": str(most - amount)},
                        },
                        ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    )
                return amount
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                there: dict[str, Any] = dict(error.response).get("Item") or {}  # type: ignore[assignment]
                amount = min(amount - 1, most - int(there[_USED]["N"]))  # less with each try, whatever others do
        return 0

    def counters(self, pk: str) -> dict[str, int]:
        """The counters of a partition by their sort keys, in order. Raises `Throttled`."""
        found: dict[str, int] = {}
        arguments: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "#pk = :pk",
            "ExpressionAttributeNames": {"#pk": "pk"},
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
        }
        while True:
            with _translated():
                page = self._client.query(**arguments)
            found |= {raw["sk"]["S"]: int(raw[_USED]["N"]) for raw in page["Items"]}
            if not page.get("LastEvaluatedKey"):
                return found
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def delete_many(self, keys: Iterable[tuple[str, str]]) -> None:
        """Delete the items under these keys, whatever they are, and those that are not there. Raises `Throttled`."""
        deletions: list[Any] = [{"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in keys]
        for start in range(0, len(deletions), _DELETED_AT_ONCE):
            left = deletions[start : start + _DELETED_AT_ONCE]
            for attempt in range(_CHANGE_ATTEMPTS):
                with _translated():
                    answer = self._client.batch_write_item(RequestItems={self._name: left})
                left = (answer.get("UnprocessedItems") or {}).get(self._name, [])
                if not left:
                    break
                pause(attempt)
            else:
                raise Throttled("DynamoDB did not delete all items")

    def delete_partition(self, pk: str, has_time: Callable[[], bool]) -> bool:
        """Delete all items of a partition, whatever they are; False where the time was over before. Raises `Throttled`."""
        while True:
            with _translated():
                page = self._client.query(
                    TableName=self._name,
                    KeyConditionExpression="#pk = :pk",
                    ExpressionAttributeNames={"#pk": "pk", "#sk": "sk"},
                    ExpressionAttributeValues={":pk": {"S": pk}},
                    ProjectionExpression="#pk, #sk",
                    ConsistentRead=True,
                )
            if not page["Items"]:
                return True
            for start in range(0, len(page["Items"]), _DELETED_AT_ONCE):
                if not has_time():
                    return False
                here = page["Items"][start : start + _DELETED_AT_ONCE]
                self.delete_many((key["pk"]["S"], key["sk"]["S"]) for key in here)

    def until_unchanged(self, work: Callable[[], T]) -> T:
        """Do `work` (read, decide, write), again as often as somebody else was faster."""
        for attempt in range(_CHANGE_ATTEMPTS):
            try:
                return work()
            except (Exists, Changed):
                pause(attempt)
        raise Throttled("the record is changed by too many at once")

    def _write_one(self, write: Write, request: dict[str, Any], token: str) -> None:
        kind, arguments = next(iter(request.items()))
        try:
            with _translated():
                if kind == "Put":
                    self._client.put_item(**arguments)
                else:
                    self._client.delete_item(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "TransactionConflictException":
                raise _Busy from None
            if code != "ConditionalCheckFailedException":
                raise
            there: dict[str, Any] = dict(error.response).get("Item")  # type: ignore[assignment]
            if kind == "Put" and there and there.get("token", {}).get("S") == token:
                return  # our own write, whose answer was lost
            if kind == "Delete" and not there:
                return
            raise _failure(write) from None

    def _write_all(self, writes: Sequence[Write], requests: list[dict[str, Any]], token: str) -> None:
        try:
            with _translated():
                self._client.transact_write_items(
                    TransactItems=requests,  # type: ignore[arg-type]
                    ClientRequestToken=uuid.uuid4().hex,
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "TransactionCanceledException":
                raise
            reasons: list[dict[str, Any]] = dict(error.response).get("CancellationReasons", [])  # type: ignore[assignment]
            failed = [
                (write, reason) for write, reason in zip(writes, reasons, strict=False)
                if reason.get("Code") == "ConditionalCheckFailed"
            ]  # fmt: skip
            if any(r.get("Item", {}).get("token", {}).get("S") == token for _, r in failed):
                return  # our own transaction, whose answer was lost: it was all or nothing
            if failed:
                raise _failure(next((write for write, _ in failed if isinstance(write, Mark)), failed[0][0])) from None
            codes = {reason.get("Code") for reason in reasons} - {"None"}
            if codes == {"TransactionConflict"}:
                raise _Busy from None
            if codes <= {"ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict"}:
                raise Throttled(str(codes)) from None
            raise


def pause(attempt: int) -> None:
    """Wait a random time, longer with each attempt, at most 0.64 s."""
    time.sleep(random.uniform(0, 0.01 * 2 ** min(attempt, 6)))


def to_json(doc: Doc) -> str:
    """A document as it is stored."""
    return json.dumps(doc, separators=(",", ":"), ensure_ascii=False)


def _is_key(pk: str, sk: str) -> bool:
    """Whether DynamoDB can hold such a key at all; nothing is there under any other."""
    return 0 < len(pk.encode()) <= 2048 and 0 < len(sk.encode()) <= 1024


def _key(write: Write) -> tuple[str, str]:
    return (write.item.pk, write.item.sk) if isinstance(write, Replace | Delete | Check) else (write.pk, write.sk)


def _failure(write: Write) -> Exception:
    kind = Repeated if isinstance(write, Mark) else Exists if isinstance(write, Create) else Changed
    return kind(str(_key(write)))


def _item(raw: Any) -> Item:
    text = raw["doc"]["S"] if "doc" in raw else zlib.decompress(raw["zip"]["B"])
    return Item(raw["pk"]["S"], raw["sk"]["S"], json.loads(text), int(raw["rev"]["N"]))


def _request(table: str, write: Write, token: str) -> dict[str, Any]:
    pk, sk = _key(write)
    condition: dict[str, Any] = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if isinstance(write, Create):
        condition |= {"ConditionExpression": "attribute_not_exists(pk)"}
    elif isinstance(write, Replace | Delete | Check):
        condition |= {
            "ConditionExpression": "rev = :rev",
            "ExpressionAttributeValues": {":rev": {"N": str(write.item.rev)}},
        }
    else:
        condition = {}
    if isinstance(write, Delete | Check):
        kind = "Delete" if isinstance(write, Delete) else "ConditionCheck"
        return {kind: {"TableName": table, "Key": {"pk": {"S": pk}, "sk": {"S": sk}}, **condition}}
    rev = write.item.rev + 1 if isinstance(write, Replace) else 1
    text = write.doc if isinstance(write.doc, str) else to_json(write.doc)
    content = text.encode()
    compressed = not isinstance(write, Replace) and write.compressed
    if compressed:
        content = zlib.compress(content, 1)  # better ones save 3 % of the space and take twice the time
    if (size := len(content)) > _DOCUMENT_BYTES:
        raise Refused(f"The record {pk} {sk} would be {size} bytes large; at most {_DOCUMENT_BYTES} can be kept.")
    item = {
        "pk": {"S": pk},
        "sk": {"S": sk},
        "rev": {"N": str(rev)},
        "token": {"S": token},
        **({"zip": {"B": content}} if compressed else {"doc": {"S": text}}),
        **({EXPIRES: {"N": str(write.expires)}} if isinstance(write, Mark) else {}),
    }
    return {"Put": {"TableName": table, "Item": item, **condition}}


def _check_transaction(requests: Sequence[dict[str, Any]]) -> None:
    size = sum(_bytes(request["Put"]["Item"]) for request in requests if "Put" in request)
    if len(requests) > _TRANSACTION_ITEMS or size > _TRANSACTION_BYTES:
        raise Refused(
            f"This is too much to be written at once: {len(requests)} records of {size} bytes together, where "
            f"{_TRANSACTION_ITEMS} records and {_TRANSACTION_BYTES} bytes are possible. Write it in several requests."
        )


def _bytes(item: dict[str, Any]) -> int:
    return len(item["zip"]["B"]) if "zip" in item else len(item["doc"]["S"].encode())


class _translated:
    """Turn what a later try can cure into `Throttled`."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ClientError):
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code in _THROTTLES or status >= 500:
                raise Throttled(code) from error
        if isinstance(error, ConnectionError | HTTPClientError):
            raise Throttled(type(error).__name__) from error
