"""Condition keys that AWS reads from the body of the request, and MiniStack does not: `cloudwatch:namespace`, `dynamodb:LeadingKeys`.

Without them a policy with such a condition refuses everything, or (`ForAllValues`) lets everything pass.
"""

from __future__ import annotations

import contextvars
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack import app
from ministack.core import iam_evaluator as iam
from ministack.services import dynamodb

_BODY: contextvars.ContextVar[bytes] = contextvars.ContextVar("body", default=b"")


def install() -> None:
    """Keep each request's body while its policies are evaluated, and answer the two keys from it."""
    original_pin, original_resolve = iam.pin_signed_body, iam._resolve_condition_key

    def pin_signed_body(body: bytes) -> None:
        _BODY.set(body or b"")
        original_pin(body)

    def resolve(key: str, context: Any) -> Any:
        found = original_resolve(key, context)
        if found is None and key.lower() in _READERS:
            return _READERS[key.lower()](_BODY.get()) or None
        return found

    iam.pin_signed_body = app.pin_signed_body = pin_signed_body
    iam._resolve_condition_key = resolve


def namespace(body: bytes) -> str:
    """Namespace of a PutMetricData request, in the JSON or the query protocol; "" where there is none."""
    return str(_document(body).get("Namespace") or "")


def leading_keys(body: bytes) -> list[str]:
    """Partition keys that a DynamoDB request names: of its item, key, key condition, batch or transaction."""
    return list(_leading(_document(body)))


def _leading(request: Mapping[str, Any]) -> Iterator[str]:
    if "TableName" in request:
        yield from _of_item(request["TableName"], request.get("Item") or request.get("Key"))
        yield from _of_condition(request)
    for table, wanted in (request.get("RequestItems") or {}).items():
        for part in wanted if isinstance(wanted, list) else wanted["Keys"]:
            item = part.get("PutRequest", {}).get("Item") or part.get("DeleteRequest", {}).get("Key") or part
            yield from _of_item(table, item)
    for part in request.get("TransactItems") or []:
        for operation in part.values():
            yield from _of_item(operation["TableName"], operation.get("Item") or operation.get("Key"))


def _of_item(table: str, item: Mapping[str, Any] | None) -> Iterator[str]:
    name = _partition_key(table)
    if item and name in item:
        yield str(next(iter(item[name].values())))


def _of_condition(request: Mapping[str, Any]) -> Iterator[str]:
    """`pk = :value`, as KeyConditionExpression must begin; names and values are placeholders."""
    expression = request.get("KeyConditionExpression") or ""
    names, values = request.get("ExpressionAttributeNames") or {}, request.get("ExpressionAttributeValues") or {}
    wanted = _partition_key(request["TableName"])
    for clause in expression.replace("(", " ").replace(")", " ").split(" AND "):
        left, _, right = (part.strip() for part in clause.partition("="))
        if names.get(left, left) == wanted and right in values:
            yield str(next(iter(values[right].values())))


def _partition_key(table: str) -> str:
    found = dynamodb._tables.get(table.rsplit("/", 1)[-1])
    schema = found["KeySchema"] if found else []
    return next((str(part["AttributeName"]) for part in schema if part["KeyType"] == "HASH"), "")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
    return found if isinstance(found, dict) else {}


_READERS = {"cloudwatch:namespace": namespace, "dynamodb:leadingkeys": leading_keys}
