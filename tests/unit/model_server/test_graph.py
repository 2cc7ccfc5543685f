"""A graph and what it is given: one row by the short way as by the long one, and no more threads than CPUs."""

from __future__ import annotations

from functools import cache
from typing import Any
from unittest import mock

import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.data import Table
from labcycle_lambdas.model_server.graph import Graph
from labcycle_lambdas.model_server.runnable import Unusable
from tests.unit.serving.workshop import FEATURES, classifier


def graph() -> Graph:
    return Graph(classifier().content["model.onnx"], None)


loaded = cache(graph)


def said(row: list[float]) -> Any:
    """The outputs, or the message of the refusal; as text, where NaN is equal to itself."""
    try:
        return str(loaded().predict(Table(FEATURES, [row]), all_outputs=True))
    except MlflowError as error:
        return str(error)


@given(st.lists(st.floats() | st.floats(-3, 3) | st.sampled_from([3.4028235e38, 3.5e38, 1e39]), min_size=3, max_size=3))
def test_one_row_is_answered_as_by_the_long_way(row: list[float]) -> None:
    short = said(row)
    with mock.patch.object(Graph, "_one_row", return_value=None):
        assert said(row) == short


def test_one_number_that_is_too_large_is_refused() -> None:
    with pytest.raises(MlflowError, match="32 bits; at least one is too large"):
        loaded().predict(Table(FEATURES, [[1.0, -1e39, 3.0]]))


def test_one_row_of_another_width_is_refused() -> None:
    with pytest.raises(MlflowError, match="shape"):
        loaded().predict(Table(["a", "b"], [[1.0, 2.0]]))


@pytest.mark.parametrize(("memory", "threads"), [(None, 1), ("512", 1), ("3537", 1), ("3538", 2), ("10240", 5)])
def test_a_graph_has_a_thread_a_cpu(memory: str | None, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", raising=False)
    if memory:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory)
    assert graph()._session.get_session_options().intra_op_num_threads == threads


def test_a_runtime_for_gpus_that_reaches_none_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on with processors, on an instance that costs ten times as much."""
    preloaded = []
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: preloaded.append(True))
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"), pytest.raises(Unusable, match="does not reach one"):
        graph()
    assert preloaded == [True]
