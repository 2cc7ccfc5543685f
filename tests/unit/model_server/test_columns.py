"""Each value of its column's type, else the row, the column and the value are named."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.schema import COLUMN_TYPES, Schema


def schema(kind: str, *, required: bool = True) -> Schema:
    return Schema.from_doc([{"type": kind, "name": "c", "required": required}])


def one(kind: str, value: object, *, required: bool = True) -> Any:
    return enforce(Table(["c"], [[value]]), schema(kind, required=required)).rows[0][0]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("double", 1, 1.0),
        ("double", math.inf, math.inf),
        ("float", 3e38, 3e38),
        ("long", 2**63 - 1, 2**63 - 1),
        ("long", 4.0, 4),
        ("integer", -(2**31), -(2**31)),
        ("boolean", False, False),
        ("string", "", ""),
    ],
)
def test_what_fits(kind: str, value: object, expected: object) -> None:
    made = one(kind, value)
    assert made == expected
    assert type(made) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("double", "1"),
        ("double", True),
        ("double", []),
        ("double", 10**400),
        ("float", 1e39),
        ("long", 2**63),
        ("long", 1.5),
        ("long", math.nan),
        ("long", math.inf),
        ("long", None),
        ("integer", 2**31),
        ("boolean", 1),
        ("boolean", None),
        ("string", 1),
        ("string", None),
    ],
)
def test_what_does_not_fit_is_named(kind: str, value: object) -> None:
    with pytest.raises(MlflowError, match=r"Row 1, column 'c': expected .*, got "):
        good = {"boolean": True, "string": "x"}.get(kind, 1)
        enforce(Table(["c"], [[good], [value]]), schema(kind))


def test_a_missing_number_is_nan() -> None:
    assert math.isnan(one("double", None))


def test_an_optional_column_may_be_absent() -> None:
    both = Schema.from_doc([{"type": "double", "name": "a"}, {"type": "double", "name": "b", "required": False}])
    made = enforce(Table(["a"], [[1], [2]]), both)
    assert made.columns == ["a", "b"]
    assert [row[0] for row in made.rows] == [1.0, 2.0]
    assert all(math.isnan(row[1]) for row in made.rows)


def test_the_first_ten_columns_are_named() -> None:
    many = Schema.from_doc([{"type": "double", "name": f"c{i}"} for i in range(15)])
    with pytest.raises(MlflowError, match="'c9' and 5 more"):
        enforce(Table([], [[]]), many)


@given(
    st.sampled_from(COLUMN_TYPES),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
)
def test_every_value_fits_or_is_refused(kind: str, value: object) -> None:
    wanted = {"boolean": bool, "integer": int, "long": int, "float": float, "double": float, "string": str}[kind]
    try:
        made = one(kind, value)
    except MlflowError:
        return
    assert type(made) is wanted


@pytest.mark.parametrize(
    "inputs",
    [[], {}, "x", [1], [{"type": "datetime", "name": "a"}], [{"type": "tensor"}, {"type": "double", "name": "a"}]],
)
def test_a_signature_that_cannot_be_served_is_refused(inputs: Any) -> None:
    with pytest.raises(ValueError, match="signature"):
        Schema.from_doc(inputs)
