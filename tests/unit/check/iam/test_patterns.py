"""Wildcards against texts and against each other."""

from __future__ import annotations

import functools
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle.check.iam.patterns import (
    Pattern,
    Wild,
    in_condition,
    in_resource,
    literal,
    match,
    matches,
    meet,
    wildcard,
)
from labcycle.check.iam.truth import Truth

ALPHABET = "ab:"
TEXTS = ["".join(letters) for n in range(6) for letters in itertools.product(ALPHABET, repeat=n)]
PATTERNS = st.text(alphabet="ab:*?", max_size=6)


def spelled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), re.DOTALL)


@functools.cache
def texts_of(pattern: str) -> frozenset[str]:
    expression = spelled(pattern)
    return frozenset(text for text in TEXTS if expression.fullmatch(text))


@given(PATTERNS, st.text(alphabet=ALPHABET, max_size=6))
def test_a_text_matches_or_not(pattern: str, text: str) -> None:
    expected = Truth.YES if spelled(pattern).fullmatch(text) else Truth.NO
    assert match(wildcard(pattern), literal(text)) is expected
    assert matches(pattern, text) is (expected is Truth.YES)


@given(PATTERNS, PATTERNS)
def test_two_patterns_meet_if_a_text_matches_both(pattern: str, asked: str) -> None:
    found = match(wildcard(pattern), wildcard(asked))
    common = texts_of(pattern) & texts_of(asked)
    if common:
        assert found is not Truth.NO
    if found is Truth.NO:
        assert not common
    if found is Truth.YES:
        assert texts_of(asked) <= texts_of(pattern)


# Texts that match two patterns of at most three tokens have at most six characters, so that none is overlooked.
@given(st.text(alphabet="ab:*?", max_size=3), st.text(alphabet="ab:*?", max_size=2))
def test_patterns_without_a_common_text_do_not_meet(pattern: str, asked: str) -> None:
    if not texts_of(pattern) & texts_of(asked):
        assert match(wildcard(pattern), wildcard(asked)) is Truth.NO


@pytest.mark.parametrize(
    ("pattern", "asked", "expected"),
    [
        ("arn:aws:s3:::data/*", "arn:aws:s3:::data/*", Truth.YES),
        ("arn:aws:s3:::data/*", "arn:aws:s3:::data/runs/*", Truth.YES),
        ("arn:aws:s3:::data/runs/*", "arn:aws:s3:::data/*", Truth.MAYBE),
        ("arn:aws:s3:::*-data/x", "arn:aws:s3:::fraud*/x", Truth.MAYBE),
        ("arn:aws:s3:::data/*", "arn:aws:s3:::data", Truth.NO),
        ("arn:aws:s3:::data*", "arn:aws:s3:::data-2/*", Truth.YES),
        ("a?c", "a*c", Truth.MAYBE),
        ("a?c", "abcd*", Truth.NO),
    ],
)
def test_a_pattern_asked_for_matches_wholly_partly_or_not(pattern: str, asked: str, expected: Truth) -> None:
    assert match(in_resource(wildcard(pattern)), wildcard(asked)) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "resource", "condition"),
    [
        ("arn:aws:sqs:*:1:q", "arn:aws:sqs:eu-west-1:1:q", Truth.YES, Truth.YES),
        ("arn:aws:sqs:*", "arn:aws:sqs:eu-west-1:1:q", Truth.YES, Truth.NO),
        ("arn:*:q", "arn:aws:sqs:eu-west-1:1:q", Truth.YES, Truth.NO),
        ("arn:aws:sqs:eu*1:q", "arn:aws:sqs:eu-west-1:1:q", Truth.NO, Truth.NO),
        ("arn:aws:lambda:r:1:function:a*b", "arn:aws:lambda:r:1:function:a:b", Truth.YES, Truth.YES),
        ("arn:aws:sqs:r?1:q:x", "arn:aws:sqs:r:1:q:x", Truth.NO, Truth.NO),
    ],
)
def test_colons_of_an_arn(pattern: str, text: str, resource: Truth, condition: Truth) -> None:
    assert match(in_resource(wildcard(pattern)), literal(text)) is resource
    assert match(in_condition(wildcard(pattern)), literal(text)) is condition


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (literal("data"), True),
        (literal("data/x"), False),
        (wildcard("data*x"), True),
        (wildcard("data/*"), False),
        (Pattern((Wild.MANY_WITHIN,)), True),
    ],
)
def test_a_name_has_no_slash(other: Pattern, expected: bool) -> None:
    name = Pattern((*"data", Wild.MANY_IN_NAME))
    assert meet(name, other) is meet(other, name) is expected
    assert match(wildcard("data*"), name) is Truth.YES
    assert match(name, wildcard("data*")) is Truth.MAYBE


def test_a_text_that_nobody_knows_never_surely_matches() -> None:
    known = wildcard("data/*")
    assert match(Pattern(known.tokens, is_known=False), literal("data/x")) is Truth.MAYBE
    assert match(Pattern(known.tokens, is_known=False), literal("other")) is Truth.NO
