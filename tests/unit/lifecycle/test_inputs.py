"""A version that refuses what consumers send is not promoted by accident."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.lifecycle.inputs import refused
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.schema import COLUMN_TYPES, Column, Schema, Tensor

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": st.text(max_size=5),
}
columns = st.lists(
    st.builds(Column, st.sampled_from("abcd"), st.sampled_from(COLUMN_TYPES), st.booleans()),
    min_size=1,
    unique_by=lambda column: column.name,
)


def lacking(column: Column) -> bool:
    """Whether a request may leave it out."""
    try:
        enforce(Table([], [[]]), Schema((column,)))
    except MlflowError:
        return False
    return True


@given(columns, columns, st.data())
def test_what_is_not_said_to_be_refused_is_taken(live: list[Column], new: list[Column], data: st.DataObject) -> None:
    """Any request that the live version takes."""
    sent = [column for column in live if not lacking(column) or data.draw(st.booleans())]
    table = Table([c.name for c in sent], [[data.draw(VALUES[c.type]) for c in sent]])
    enforce(table, Schema(tuple(live)))
    if not refused(Schema(tuple(live)), Schema(tuple(new))):
        enforce(table, Schema(tuple(new)))


@given(columns, columns, st.data())
def test_what_is_said_is_so(live: list[Column], new: list[Column], data: st.DataObject) -> None:
    """Of a column that is gone, or needed: some request is refused."""
    said = refused(Schema(tuple(live)), Schema(tuple(new)))
    if any(phrase.startswith(("it does not know", "it needs")) for phrase in said):
        with pytest.raises(MlflowError):
            for sent in (live, [column for column in live if not lacking(column)]):
                table = Table([c.name for c in sent], [[data.draw(VALUES[c.type]) for c in sent]])
                enforce(table, Schema(tuple(new)))


@pytest.mark.parametrize(
    ("live", "new", "said"),
    [
        ([Column("a", "double")], [Column("a", "double"), Column("b", "string", required=False)], []),
        ([Column("a", "double")], [Column("a", "double"), Column("b", "long", required=False)], ["it needs 'b'"]),
        ([Column("a", "double")], [Column("b", "double")], ["it does not know 'a'", "it needs 'b'"]),
        ([Column("a", "integer")], [Column("a", "double")], []),
        ([Column("a", "double")], [Column("a", "integer")], ["'a' was double and is integer"]),
        ([Column("a", "double", required=False)], [Column("a", "double")], ["it needs 'a'"]),
    ],
)
def test_columns(live: list[Column], new: list[Column], said: list[str]) -> None:
    assert refused(Schema(tuple(live)), Schema(tuple(new))) == said


@pytest.mark.parametrize(
    ("live", "new", "said"),
    [
        (Tensor(None, "float32", (-1, 3)), Tensor(None, "float32", (-1, 3)), []),
        (Tensor(None, "float32", (-1, 3)), Tensor(None, "float32", (-1, -1)), []),
        (
            Tensor("x", "float32", (-1, -1)),
            Tensor("x", "float32", (-1, 3)),
            ["'x' was float32 [-1, -1] and is float32 [-1, 3]"],
        ),
        (Tensor("x", "float32", (-1,)), Tensor("y", "float32", (-1,)), ["its tensors are 'y'; they were 'x'"]),
    ],
)
def test_tensors(live: Tensor, new: Tensor, said: list[str]) -> None:
    assert refused(Schema(tensors=(live,)), Schema(tensors=(new,))) == said


def test_columns_and_tensors() -> None:
    one, other = Schema((Column("a", "double"),)), Schema(tensors=(Tensor(None, "float32", (-1, 1)),))
    assert refused(one, other) == ["it takes tensors where columns were taken"]
    assert refused(other, one) == ["it takes columns where tensors were taken"]
