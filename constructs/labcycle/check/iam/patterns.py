"""Texts with wildcards, compared with texts and with each other: does any text match both, does every one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .truth import Truth


class Wild(Enum):
    """A wildcard: any run of characters, or any one character; WITHIN a part of an ARN: none of them a colon."""

    MANY = "*"
    ONE = "?"
    MANY_WITHIN = "*:"
    ONE_WITHIN = "?:"


Token = str | Wild
_RUNS = (Wild.MANY, Wild.MANY_WITHIN)
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
    return Pattern(tuple(Wild(c) if c in "*?" else c for c in text))


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
    if not _meet(pattern.tokens, asked.tokens):
        return Truth.NO
    if pattern.is_known and _covers(pattern.tokens, asked.tokens):
        return Truth.YES
    return Truth.MAYBE


def _meet(one: Sequence[Token], other: Sequence[Token]) -> bool:
    """Whether a text matches both."""
    one, other = _without_common_beginning(one, other)
    reached = {0}
    for n in range(len(one) + 1):
        last = n == len(one)
        further = set()
        waiting = sorted(reached)
        while waiting:
            m = waiting.pop(0)
            a = None if last else one[n]
            b = None if m == len(other) else other[m]
            nearer = []
            if b in _RUNS:
                nearer.append(m + 1)  # the run ends
            if a in _RUNS and b is not None and _may_be_one(a, b):
                nearer.append(m + 1)  # it takes one more
            for found in nearer:
                if found not in reached:
                    reached.add(found)
                    waiting.append(found)
            if a in _RUNS:
                further.add(m)
            if a is not None and a not in _RUNS and b is not None and _may_be_one(a, b):
                further.add(m if b in _RUNS else m + 1)
        if last:
            return len(other) in reached
        reached = further
        if not reached:
            return False
    raise AssertionError("unreachable")


def _may_be_one(a: Token, b: Token) -> bool:
    """Whether a character stands for both. Runs count for one of their characters."""
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    if isinstance(a, str):
        return a != ":" or b in (Wild.MANY, Wild.ONE)
    return not isinstance(b, str) or _may_be_one(b, a)


def _without_common_beginning(one: Sequence[Token], other: Sequence[Token]) -> tuple[Sequence[Token], Sequence[Token]]:
    """Both without the characters with which both begin."""
    n = 0
    while n < len(one) and n < len(other) and isinstance(one[n], str) and one[n] == other[n]:
        n += 1
    return one[n:], other[n:]


def _covers(pattern: Sequence[Token], asked: Sequence[Token]) -> bool:
    """Whether every text that is asked for matches. Answers no in rare cases where it does (`*?` asked of `?*`)."""
    pattern, asked = _without_common_beginning(pattern, asked)
    reached = _with_ended_runs(pattern, {0})
    for token in asked:
        further = set()
        for n in reached:
            if n < len(pattern) and _takes(pattern[n], token):
                further.add(n if pattern[n] in _RUNS else n + 1)
        reached = _with_ended_runs(pattern, further)
        if not reached:
            return False
    return len(pattern) in reached


def _with_ended_runs(pattern: Sequence[Token], reached: set[int]) -> set[int]:
    found = set(reached)
    for n in reached:
        while n < len(pattern) and pattern[n] in _RUNS:
            n += 1
            found.add(n)
    return found


def _takes(token: Token, asked: Token) -> bool:
    """Whether the pattern's token stands for whatever the asked one stands for."""
    if isinstance(token, str):
        return token == asked
    if token is Wild.MANY:
        return True
    if token is Wild.MANY_WITHIN:
        return asked in (Wild.MANY_WITHIN, Wild.ONE_WITHIN) or (isinstance(asked, str) and asked != ":")
    if token is Wild.ONE:
        return isinstance(asked, str) or asked in (Wild.ONE, Wild.ONE_WITHIN)
    return asked is Wild.ONE_WITHIN or (isinstance(asked, str) and asked != ":")
