"""MLflow's filter language: comparisons joined by AND, with that parser's leniency.

    filter     = { "AND" | comparison }
    comparison = identifier operator value | identifier IS [NOT] NULL | identifier [NOT] IN (value, ...)
    identifier = [prefix "."] key        split at the first dot; the key may be quoted by ` ", behind a prefix also by '
    operator   = = | != | < | <= | > | >= | LIKE | ILIKE
    value      = a number, or a string in ' or " without escapes

What it means: a missing key never matches, `!=` included; NaN matches `!=` only; LIKE compares the whole value, with
`%` and `_`; ILIKE folds ASCII only. (mlflow/utils/search_utils.py and mlflow/store/tracking/sqlalchemy_store.py)
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from labcycle_lambdas.mlflow_error import MlflowError, invalid

Value = str | float | int | None
_SPACE = re.compile(r"\s*")
_AND = re.compile(r"AND\b", re.IGNORECASE)
_IDENTIFIER = re.compile(
    r"(?:(?:[A-Za-z_]\w*|`[^`]*`)\.)?(?:`[^`]*`|\"[^\"]*\"|(?<=\.)'[^']*'|[^\W\d][\w.]*|(?<=\.)\w[\w.]*)"
)
_OPERATOR = re.compile(
    r"!=|<=|>=|=(?!=)|<(?!>)|>|I?LIKE\b|NOT\s+IN\b|IN\b|IS\s+NOT\s+NULL\b|IS\s+NULL\b", re.IGNORECASE
)
_NUMBER = re.compile(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])")
_STRING = re.compile(r"'[^']*'|\"[^\"]*\"")
_LIST = re.compile(rf"\(\s*((?:{_STRING.pattern})(?:\s*,\s*(?:{_STRING.pattern}))*)\s*,?\s*\)")
_LONGEST = 100_000
_FOLD = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

NUMERIC = ("=", "!=", "<", "<=", ">", ">=")
TEXT = ("=", "!=", "LIKE", "ILIKE")
MEMBERSHIP = ("IN", "NOT IN")
NULLNESS = ("IS NULL", "IS NOT NULL")


@dataclass(frozen=True)
class Comparison:
    """`prefix` is "" where the identifier has none; `value` is None for the IS operators, a tuple for IN."""

    prefix: str
    key: str
    operator: str
    value: str | float | tuple[str, ...] | None

    def matches(self, found: Value) -> bool:
        """Whether a value that was found (None: missing) satisfies it."""
        if self.operator in NULLNESS:
            return (found is None) == (self.operator == "IS NULL")
        if found is None:
            return False
        if isinstance(self.value, tuple):
            return (found in self.value) == (self.operator == "IN")
        if isinstance(self.value, str):
            return _text_matches(self.operator, self.value, str(found))
        assert self.value is not None and not isinstance(found, str)
        return _number_matches(self.operator, self.value, found)


def parse(text: str) -> list[Comparison]:
    """The comparisons of a filter; all must hold. Raises `MlflowError` (400)."""
    if len(text) > _LONGEST:
        raise invalid(f"The filter string is longer than {_LONGEST} characters.")
    if text and not text.strip():
        raise invalid("Invalid filter ''. Could not be parsed.")
    found = []
    at = _skip(text, 0)
    while at < len(text):
        if word := _AND.match(text, at):
            at = _skip(text, word.end())
            continue
        comparison, at = _comparison(text, at)
        found.append(comparison)
        at = _skip(text, at)
    return found


def _comparison(text: str, start: int) -> tuple[Comparison, int]:
    identifier = _IDENTIFIER.match(text, start)
    operator = identifier and _OPERATOR.match(text, _skip(text, identifier.end()))
    if not identifier or not operator:
        raise _bad_clause(text, start)
    prefix, key = split(identifier.group())
    name = " ".join(operator.group().upper().split())
    at = operator.end()
    if name in NULLNESS:
        return Comparison(prefix, key, name, None), at
    at = _skip(text, at)
    if name in MEMBERSHIP:
        members = _LIST.match(text, at)
        if not members:
            raise invalid(
                f"Invalid clause(s) in filter string: '{text[start : start + 200]}': {name} needs a list of quoted strings in parentheses."
            )
        values = tuple(quoted[1:-1] for quoted in _STRING.findall(members.group(1)))
        return Comparison(prefix, key, name, values), members.end()
    if quoted := _STRING.match(text, at):
        return Comparison(prefix, key, name, quoted.group()[1:-1]), quoted.end()
    if number := _NUMBER.match(text, at):
        return Comparison(prefix, key, name, float(number.group())), number.end()
    raise _bad_clause(text, start)


def split(identifier: str) -> tuple[str, str]:
    """Prefix ("" where there is none) and key of an identifier, without quotes."""
    if identifier[0] in "\"'" or (identifier[0] == "`" and identifier.find("`", 1) == len(identifier) - 1):
        return "", identifier[1:-1]
    prefix, dot, key = identifier.partition(".")
    if not dot:
        return "", identifier
    prefix = prefix.strip("`")
    return prefix, key[1:-1] if key and key[0] in "`\"'" and key[-1] == key[0] else key


def check_operator(comparison: Comparison, allowed: Iterable[str], what: str) -> None:
    """Raises `MlflowError` (400) where `what` cannot be compared so."""
    if comparison.operator not in (names := tuple(allowed)):
        raise invalid(
            f"Invalid comparator '{comparison.operator}' for {what} '{comparison.key[:100]}'. Valid comparators are {', '.join(names)}."
        )


def check_number(comparison: Comparison, what: str) -> None:
    check_operator(comparison, NUMERIC, what)
    if not isinstance(comparison.value, float):
        raise invalid(
            f"Expected numeric value type for {what} '{comparison.key[:100]}'. Found {comparison.value!r:.200}"
        )


def check_text(comparison: Comparison, what: str, *more: str) -> None:
    check_operator(comparison, (*TEXT, *more), what)
    if isinstance(comparison.value, float):
        raise invalid(
            f"Expected a quoted string value for {what} '{comparison.key[:100]}' (e.g. 'my-value'). Got value {comparison.value:g}"
        )


def kind_of(prefix: str, kinds: Mapping[str, Iterable[str]]) -> str:
    """The kind of entity that a prefix stands for. Raises `MlflowError` (400)."""
    for kind, prefixes in kinds.items():
        if prefix in prefixes:
            return kind
    raise invalid(f"Invalid entity type '{prefix[:100]}'. Valid entity types are {', '.join(kinds)}.")


def _text_matches(operator: str, wanted: str, found: str) -> bool:
    match operator:
        case "=":
            return found == wanted
        case "!=":
            return found != wanted
        case "LIKE":
            return _pattern(wanted).fullmatch(found) is not None
        case "ILIKE":
            return _pattern(wanted.translate(_FOLD)).fullmatch(found.translate(_FOLD)) is not None
        case _:
            raise invalid(f"Invalid comparator '{operator}' for a string.")


@cache
def _pattern(like: str) -> re.Pattern[str]:
    # Possessive parts between the wildcards: a pattern of many % must not take exponential time.
    parts = [re.escape(part).replace("_", ".") for part in re.sub("%+", "%", like).split("%")]
    if len(parts) == 1:
        return re.compile(parts[0], re.DOTALL)
    middle = "".join(f"(?>.*?{part})" for part in parts[1:-1])
    return re.compile(f"{parts[0]}{middle}.*{parts[-1]}", re.DOTALL)


def _number_matches(operator: str, wanted: float, found: float) -> bool:
    if math.isnan(found):
        return operator == "!="
    match operator:
        case "=":
            return found == wanted
        case "!=":
            return found != wanted
        case "<":
            return found < wanted
        case "<=":
            return found <= wanted
        case ">":
            return found > wanted
        case _:
            return found >= wanted


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _bad_clause(text: str, start: int) -> MlflowError:
    return invalid(f"Invalid clause(s) in filter string: '{text[start : start + 200]}'")
