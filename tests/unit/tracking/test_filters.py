"""MLflow's filter language: what parses, what it means, what is refused."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.tracking.filters import Comparison, Value, parse
from labcycle_lambdas.tracking.paging import Order, parse_order, sort


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("metrics.auc >= 0.5", [("metrics", "auc", ">=", 0.5)]),
        ("metrics.auc>=.5", [("metrics", "auc", ">=", 0.5)]),
        ("metric.a < -1e-3 AND params.b = '3'", [("metric", "a", "<", -0.001), ("params", "b", "=", "3")]),
        ("a = 'x' b != \"it's\"", [("", "a", "=", "x"), ("", "b", "!=", "it's")]),  # AND may be left out
        ("AND name = 'and' and", [("", "name", "=", "and")]),
        ("tags.mlflow.user = 'ada'", [("tags", "mlflow.user", "=", "ada")]),
        ("tag.`mlflow.prompt.is_prompt` != 'true'", [("tag", "mlflow.prompt.is_prompt", "!=", "true")]),
        ('tags."a b" LIKE \'%x_\'', [("tags", "a b", "LIKE", "%x_")]),
        ("tags.'a b' = 'x' AND \"name\" = 'y'", [("tags", "a b", "=", "x"), ("", "name", "=", "y")]),
        ("`metrics`.`a/b` = 1.", [("metrics", "a/b", "=", 1.0)]),
        ("name ilike 'A%'", [("", "name", "ILIKE", "A%")]),
        ("run_id not  in ('a', \"b\")", [("", "run_id", "NOT IN", ("a", "b"))]),
        ("params.x IS NULL AND tags.y is not null", [("params", "x", "IS NULL", None), ("tags", "y", "IS NOT NULL", None)]),
        ("name LIKE '%model' AND tags.team = 'cards and more'", [("", "name", "LIKE", "%model"), ("tags", "team", "=", "cards and more")]),
        ("metrics.m = 1e400", [("metrics", "m", "=", math.inf)]),
    ],
)  # fmt: skip
def test_it_parses(text: str, expected: list[tuple[str, str, str, object]]) -> None:
    assert parse(text) == [Comparison(*comparison) for comparison in expected]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "   ",
        "OR",
        "a = 'x' OR b = 'y'",
        "a == 'x'",
        "a <> 'x'",
        "a = 'x",
        "a = x",
        "a = +1",
        "a = 0x1",
        "a = 1_000",
        "NOT a = 'x'",
        "(a = 'x')",
        "a IN ()",
        "a IN 'x'",
        "a BETWEEN 1 AND 2",
        "a = 'x'; b = 'y'",
        "a",
        "= 'x'",
        "a =",
        "metrics.a-b = 1",
        "'name' = 'x'",
    ],
)
def test_it_is_refused(text: str) -> None:
    with pytest.raises(MlflowError) as refused:
        parse(text)
    assert refused.value.code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("clause", "found", "expected"),
    [
        ("a = 'x'", "x", True),
        ("a = 'x'", "X", False),
        ("a != 'x'", None, False),  # what is missing never matches
        ("a != 1", math.nan, True),  # NaN matches != only
        ("a = 1", math.nan, False),
        ("a >= 1", math.nan, False),
        ("a >= 1", 1, True),
        ("a < 1e400", 5.0, True),
        ("a LIKE 'a%c'", "a\nbc", True),
        ("a LIKE 'a_c'", "abc", True),
        ("a LIKE 'b'", "abc", False),
        ("a LIKE 'A%'", "abc", False),
        ("a LIKE 'a.c'", "abc", False),
        ("a ILIKE 'ABC'", "abC", True),
        ("a ILIKE 'äBC'", "Äbc", False),  # ASCII alone is folded
        ("a IN ('x', 'y')", "y", True),
        ("a NOT IN ('x', 'y')", "z", True),
        ("a IS NULL", None, True),
        ("a IS NOT NULL", "x", True),
    ],
)
def test_what_it_means(clause: str, found: Value, expected: bool) -> None:
    (comparison,) = parse(clause)
    assert comparison.matches(found) is expected


@given(st.text("ab%_\n", max_size=8), st.text("ab\n", max_size=12))
def test_like_is_the_regular_expression_it_stands_for(pattern: str, text: str) -> None:
    plain = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in pattern)
    (comparison,) = parse(f"a LIKE '{pattern}'")
    assert comparison.matches(text) == bool(re.fullmatch(plain, text, re.DOTALL))


def test_a_pattern_of_many_wildcards_takes_no_exponential_time() -> None:
    (comparison,) = parse("a LIKE '" + "%a" * 40 + "%b'")
    assert not comparison.matches("a" * 2000)  # it would take years


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parse(text)
    except MlflowError as refused:
        assert refused.code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    ("clauses", "expected"),
    [
        (["metrics.auc DESC", "start_time"], [Order("metrics", "auc", True), Order("", "start_time", False)]),
        (["params.`a b` asc"], [Order("params", "a b", False)]),
        (["attribute.`run name` desc"], [Order("attribute", "run name", True)]),
    ],
)
def test_order_parses(clauses: list[str], expected: list[Order]) -> None:
    assert parse_order(clauses) == expected


@pytest.mark.parametrize("clauses", [["a b"], [""], ["metrics.auc", "metrics.auc DESC"], ["a DESC ASC"]])
def test_order_is_refused(clauses: list[str]) -> None:
    with pytest.raises(MlflowError):
        parse_order(clauses)


@given(st.lists(st.sampled_from([None, math.nan, 1.0, -2.0, math.inf])), st.booleans())
def test_what_is_there_before_nan_before_what_is_missing(values: list[float | None], descending: bool) -> None:
    found = sort(values, [(lambda value: value, descending)])
    there = sorted((v for v in values if v is not None and not math.isnan(v)), reverse=descending)
    assert found[: len(there)] == there
    nans = [v for v in values if v is not None and math.isnan(v)]
    assert all(v is not None and math.isnan(v) for v in found[len(there) : len(there) + len(nans)])
    assert all(v is None for v in found[len(there) + len(nans) :])


def test_ties_are_broken_by_the_next_clause() -> None:
    rows: list[tuple[float, str]] = [(1.0, "b"), (0.0, "c"), (1.0, "a")]
    assert sort(rows, [(lambda r: r[0], True), (lambda r: r[1], False)]) == [(1.0, "a"), (1.0, "b"), (0.0, "c")]
