"""Order and pages of a search."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from labcycle_lambdas.mlflow_error import MlflowError, invalid
from labcycle_lambdas.tracking.arguments import Arguments
from labcycle_lambdas.tracking.filters import Value, split

T = TypeVar("T")
Key = tuple[Callable[[T], Value], bool]  # what an item is ordered by, and whether descending
PAGE_BYTES = 4_500_000  # Lambda answers with 6 MB at most: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
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
    listed = list(items)
    columns = [[value(item) for item in listed] for value, _ in keys]
    return [listed[row] for row in ranking(columns, [descending for _, descending in keys], len(listed))]


def ranking(columns: Sequence[Sequence[Value]], descending: Sequence[bool], length: int) -> list[int]:
    """The order of `length` rows that are given by columns, the first column first; as `sort` orders items."""
    ranked = list(range(length))
    for column, falling in reversed(list(zip(columns, descending, strict=True))):
        groups: tuple[list[int], ...] = ([], [], [])
        for row in ranked:
            groups[_group(column[row])].append(row)
        groups[0].sort(key=column.__getitem__, reverse=falling)  # type: ignore[arg-type]
        ranked = [row for group in groups for row in group]
    return ranked


def behind(columns: Sequence[Sequence[Value]], descending: Sequence[bool], after: Sequence[Value]) -> int:
    """Where rows begin, in columns that are in order, that come behind the values `after`."""
    low, high = 0, len(columns[0])
    while low < high:
        middle = (low + high) // 2
        if _compare([column[middle] for column in columns], after, descending) > 0:
            high = middle
        else:
            low = middle + 1
    return low


def _compare(one: Sequence[Value], other: Sequence[Value], descending: Sequence[bool]) -> int:
    for a, b, falling in zip(one, other, descending, strict=True):
        if (group := _group(a) - _group(b)) != 0:
            return group
        if _group(a) == 0 and a != b:
            return -1 if (a < b) != falling else 1  # type: ignore[operator]
    return 0


def _group(value: Value) -> int:
    if value is None:
        return 2
    return 1 if isinstance(value, float) and math.isnan(value) else 0


def scope_of(*parts: object) -> str:
    """What a page token is for: another search refuses it."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def token_at(values: Sequence[Value], scope: str) -> str:
    """A token for what comes behind an item with these values, whatever is added before it."""
    return _token({"after": list(values), "scope": scope})


def position(arguments: Arguments, scope: str, texts: Sequence[bool]) -> list[Value] | None:
    """The values of `token_at`, of which those in `texts` are text and the others numbers; None for the first page.

    Raises
    ------
    MlflowError
        400, where the token is of another search.
    """
    if not (token := arguments.text("page_token")):
        return None
    content = _content(token)
    after = content.get("after")
    if content.get("scope") != scope or not isinstance(after, list) or len(after) != len(texts):
        raise _not_ours(token)
    for value, text in zip(after, texts, strict=True):
        if value is not None and not isinstance(value, str if text else int | float):
            raise _not_ours(token)
    return after


def offset(arguments: Arguments, scope: str = "") -> int:
    """Where the page begins that the caller asks for. Raises `MlflowError` where the token is not ours, or of another search."""
    token = arguments.text("page_token")
    if not token:
        return 0
    content = _content(token)
    number = content.get("offset")
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0 or content.get("scope", "") != scope:
        raise _not_ours(token)
    return number


def _content(token: str) -> dict[str, Any]:
    try:
        content = json.loads(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _not_ours(token) from None
    if not isinstance(content, dict):
        raise _not_ours(token)
    return content


def _not_ours(token: str) -> MlflowError:
    return invalid(f"Invalid page token '{token[:100]}': it was not made by this search.")


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


def to_json(doc: object) -> str:
    return _ENCODER.encode(doc)


def token(offset: int, scope: str = "") -> str:
    return _token({"offset": offset, **({"scope": scope} if scope else {})})


def _token(content: dict[str, Any]) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()
