"""Texts with wildcards, compared with texts and with each other: does any text match both, does every one?

Here `${...}` has no meaning of its own: `variables` reads it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from .truth import Truth


def is_wild(text: str) -> bool:
    """Whether a text has a wildcard."""
    return "*" in text or "?" in text


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches a pattern in which `*` and `?` are wildcards."""
    return _expression(pattern).fullmatch(text) is not None if is_wild(pattern) else pattern == text


@functools.lru_cache(maxsize=10_000)
def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


class AnyOf:
    """Patterns in which `*` and `?` are wildcards; those that have none are looked up."""

    def __init__(self, patterns: Iterable[str]) -> None:
        every = frozenset(patterns)
        self._wild = tuple(one for one in every if is_wild(one))
        self._plain = every.difference(self._wild)

    def __contains__(self, text: str) -> bool:
        """Whether a text matches one of them."""
        return text in self._plain or any(matches(one, text) for one in self._wild)


class Wild(Enum):
    """A wildcard: whether it is a run of characters or one, and the character that is not among them."""

    MANY = True, ""
    ONE = False, ""
    MANY_WITHIN = True, ":"
    """Within a part of an ARN."""
    ONE_WITHIN = False, ":"
    MANY_IN_NAME = True, "/"
    """In a name that has no slash, such as a bucket's."""

    def __init__(self, is_run: bool, excluded: str) -> None:
        self.is_run = is_run
        self.excluded = excluded


Token = str | Wild
_ALL = (Wild.MANY,)
_SIGNS = {"*": Wild.MANY, "?": Wild.ONE}
_WITHIN = {Wild.MANY: Wild.MANY_WITHIN, Wild.ONE: Wild.ONE_WITHIN}


@dataclass(frozen=True)
class Pattern:
    """Characters and wildcards.

    Parameters
    ----------
    is_known
        False where a wildcard stands for one text that nobody knows rather than for any text: such a pattern never
        surely matches.
    """

    tokens: tuple[Token, ...]
    is_known: bool = True


def literal(text: str) -> Pattern:
    """The text itself."""
    return Pattern(tuple(text))


def wildcard(text: str) -> Pattern:
    """A text in which `*` and `?` are wildcards."""
    return Pattern(tuple(_SIGNS.get(c, c) for c in text))


def in_condition(pattern: Pattern) -> Pattern:
    """An ARN as `ArnLike` and `ArnEquals` take it, part by part: no wildcard crosses one of the first five colons.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
    """
    return _by_part(pattern, last_crosses=False)


def in_resource(pattern: Pattern) -> Pattern:
    """An ARN as `Resource` takes it: of the first five parts, only a `*` that ends one crosses colons.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """
    return _by_part(pattern, last_crosses=True)


def _by_part(pattern: Pattern, *, last_crosses: bool) -> Pattern:
    tokens = list(pattern.tokens)
    colons = 0
    for n, token in enumerate(tokens):
        if token == ":":
            colons += 1
        if colons == 5:
            break
        ends_part = n + 1 == len(tokens) or tokens[n + 1] == ":"
        if isinstance(token, Wild) and not (token is Wild.MANY and ends_part and last_crosses):
            tokens[n] = _WITHIN[token]
    return Pattern(tuple(tokens), pattern.is_known)


def match(pattern: Pattern, asked: Pattern) -> Truth:
    """Whether what is asked for matches: all of it, none of it, or some."""
    if not meet(pattern, asked):
        return Truth.NO
    if pattern.is_known and _covers(pattern.tokens, asked.tokens):
        return Truth.YES
    return Truth.MAYBE


def meet(one: Pattern, other: Pattern) -> bool:
    """Whether a text matches both."""
    first, second = _without_common_beginning(one.tokens, other.tokens)
    if _ALL in (first, second):
        return True
    end = len(first), len(second)
    waiting = [(0, 0)]
    seen = {*waiting}
    while waiting:
        n, m = place = waiting.pop()
        if place == end:
            return True
        a = first[n] if n < end[0] else ""
        b = second[m] if m < end[1] else ""
        a_is_run = isinstance(a, Wild) and a.is_run
        b_is_run = isinstance(b, Wild) and b.is_run
        further = []
        if a_is_run:
            further.append((n + 1, m))  # the run ends
        if b_is_run:
            further.append((n, m + 1))
        if a and b and _may_be_one(a, b):  # both take a character
            further.append((n if a_is_run else n + 1, m if b_is_run else m + 1))
        for found in further:
            if found not in seen:
                seen.add(found)
                waiting.append(found)
    return False


def _may_be_one(a: Token, b: Token) -> bool:
    """Whether a character stands for both. Runs count for one of their characters."""
    if isinstance(a, str):
        return a == b if isinstance(b, str) else a != b.excluded
    return not isinstance(b, str) or b != a.excluded


def _without_common_beginning(
    one: tuple[Token, ...], other: tuple[Token, ...]
) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """Both without the characters with which both begin."""
    n = 0
    for a, b in zip(one, other, strict=False):
        if a != b or isinstance(a, Wild):
            break
        n += 1
    return one[n:], other[n:]


def _covers(pattern: tuple[Token, ...], asked: tuple[Token, ...]) -> bool:
    """Whether every text that is asked for matches. Answers no in rare cases where it does (`*?` asked of `?*`)."""
    pattern, asked = _without_common_beginning(pattern, asked)
    if pattern == _ALL:
        return True
    reached = _with_ended_runs(pattern, {0})
    for token in asked:
        further = set()
        for n in reached:
            if n < len(pattern) and _takes(pattern[n], token):
                further.add(n if _is_run(pattern[n]) else n + 1)
        reached = _with_ended_runs(pattern, further)
        if not reached:
            return False
    return len(pattern) in reached


def _with_ended_runs(pattern: Sequence[Token], reached: set[int]) -> set[int]:
    found = set(reached)
    for n in reached:
        while n < len(pattern) and _is_run(pattern[n]):
            n += 1
            found.add(n)
    return found


def _is_run(token: Token) -> bool:
    return isinstance(token, Wild) and token.is_run


def _takes(token: Token, asked: Token) -> bool:
    """Whether the pattern's token stands for whatever the asked one stands for."""
    if isinstance(token, str):
        return token == asked
    if isinstance(asked, str):
        return asked != token.excluded
    return (token.is_run or not asked.is_run) and token.excluded in ("", asked.excluded)
