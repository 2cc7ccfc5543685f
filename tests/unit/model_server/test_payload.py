"""What is asked is read as Python's json reads it, whichever of two readers does."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.http import Request
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.payload import read

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _read(body: str) -> Any:
    request = Request("POST", "/invocations", [], {}, body.encode(errors="surrogatepass"), "", "r")
    data = read(request, None).data
    return data.rows if isinstance(data, Table) else data.values[None]


@given(st.lists(st.lists(_VALUES, min_size=1, max_size=1), min_size=1, max_size=3))
def test_values_are_those_of_json(rows: list[Any]) -> None:
    """Of each kind of number and text, NaN and halves of surrogates among them; compared as texts, in which NaN equals NaN."""
    body = json.dumps({"dataframe_split": {"columns": ["a"], "data": rows}})
    assert repr(_read(body)) == repr(json.loads(body)["dataframe_split"]["data"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e400", math.inf),
        ("-Infinity", -math.inf),
        ("18446744073709551616", 2**64),
        ("-0.0", -0.0),
        ("0.1e-400", 0.0),
        ("9007199254740993", 2**53 + 1),
        ("123456789012345678901234567890.5", 123456789012345678901234567890.5),
        (r'"\ud800"', "\ud800"),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_what_is_hardly_json_is_read_all_the_same(text: str, value: object) -> None:
    read_value = _read('{"dataframe_split": {"columns": ["a"], "data": [[' + text + "]]}}")[0][0]
    assert (read_value, type(read_value), str(read_value)) == (value, type(value), str(value))


def test_nan_is_read() -> None:
    assert math.isnan(_read('{"instances": [NaN]}')[0])


@pytest.mark.parametrize("text", ["[1,]", "[01]", "[1] 2", "['a']", '["\t"]', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(MlflowError, match="not valid JSON"):
        _read('{"instances": ' + text + "}")


def test_tensors_keep_their_nesting() -> None:
    request = Request("POST", "/invocations", [], {}, b'{"inputs": {"x": [[[1, 2]]]}}', "", "r")
    assert read(request, None).data == Tensors({"x": [[[1, 2]]]})
