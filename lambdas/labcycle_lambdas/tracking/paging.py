"""Order and pages of a search."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from labcycle_lambdas.mlflow_error import invalid
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.filters import Value, split

T = TypeVar("T")
Key = tuple[Callable[[T], Value], bool]  # what an item is ordered by, and whether descending
PAGE_BYTES = 4_500_000  # Lambda answers with 6 MB at most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_ORDER = re.compile(r"\s*(?P<field>.+?)(?:\s+(?P<direction>ASC|DESC))?\s*", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Order:
    """One clause of order_by."""

    prefix: str
    key: str
    descending: bool


def parse_order(clauses: Sequence[str]) -> list[Order]:
    """Raises `MlflowError` (400), also for a field that is named twice."""
    found = []
    for clause in clauses:
        match = _ORDER.fullmatch(clause)
        field = match["field"] if match else ""
        if not match or not re.fullmatch(r"[^\s`\"']+|([^\s`\"']+\.)?(`[^`]+`|\"[^\"]+\"|'[^']+')", field):
            raise invalid(f"Invalid order_by clause '{clause[:200]}'. Could not be parsed.")
        prefix, key = split(field)
        found.append(Order(prefix, key, (match["direction"] or "ASC").upper() == "DESC"))
    fields = [(order.prefix, order.key) for order in found]
    if len(fields) != len(set(fields)):
        raise invalid(f"`order_by` contains duplicate fields: {list(clauses)}")
    return found


def sort(items: Iterable[T], keys: Sequence[Key[T]]) -> list[T]:
    """Sort by (value, descending), the first key first: what is there before NaN before what is missing, either way."""

    def compare(one: Sequence[Value], other: Sequence[Value]) -> int:
        for a, b, (_, descending) in zip(one, other, keys, strict=True):
            if (group := _group(a) - _group(b)) != 0:
                return group
            if _group(a) == 0 and a != b:
                return -1 if (a < b) != descending else 1  # type: ignore[operator]
        return 0

    decorated = [([value(item) for value, _ in keys], item) for item in items]
    order = functools.cmp_to_key(compare)
    return [item for _, item in sorted(decorated, key=lambda pair: order(pair[0]))]


def _group(value: Value) -> int:
    if value is None:
        return 2
    return 1 if isinstance(value, float) and math.isnan(value) else 0


def offset(arguments: Arguments, scope: str = "") -> int:
    """Where the page begins that the caller asks for. Raises `MlflowError` where the token is not ours, or of another search."""
    token = arguments.text("page_token")
    if not token:
        return 0
    try:
        content = json.loads(base64.b64decode(token, validate=True))
        number = content["offset"]
        if (
            isinstance(number, int)
            and not isinstance(number, bool)
            and number > 0
            and content.get("scope", "") == scope
        ):
            return number
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError, AttributeError):
        pass
    raise invalid(f"Invalid page token '{token[:100]}': it was not made by this search.")


def limit(arguments: Arguments, default: int | None, most: int) -> int:
    """`max_results`, from 1 to `most`; `default` None where it must be given."""
    if not arguments.has("max_results") and default is not None:
        return default
    value = arguments.integer("max_results", bits=32)
    if value <= 0:
        raise invalid(f"Invalid value {value} for parameter 'max_results' supplied. It must be a positive integer")
    if value > most:
        raise invalid(f"Invalid value {value} for parameter 'max_results' supplied:  Hint: it must be at most {most}.")
    return value


def page(
    name: str, items: Sequence[T], show: Callable[[T], dict[str, Any]], start: int, most: int, scope: str = ""
) -> dict[str, Any]:
    """The answer of a search: `{name: [...], next_page_token}`, shorter than asked for where it would not fit an answer."""
    shown: list[dict[str, Any]] = []
    size = 0
    for item in items[start : start + most]:
        doc = show(item)
        size += len(json.dumps(doc, separators=(",", ":")))
        if shown and size > PAGE_BYTES:
            break
        shown.append(doc)
    answer: dict[str, Any] = {name: shown} if shown else {}
    end = start + len(shown)
    if end < len(items):
        answer["next_page_token"] = token(end, scope)
    return answer


def token(offset: int, scope: str = "") -> str:
    content = {"offset": offset, **({"scope": scope} if scope else {})}
    return base64.b64encode(json.dumps(content).encode()).decode()
