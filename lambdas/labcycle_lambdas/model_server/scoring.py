"""Score one request with one graph: what the API and the batches have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from labcycle_lambdas.http import Request
from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.payload import read
from labcycle_lambdas.model_server.runnable import Runnable


@dataclass(frozen=True)
class Scored:
    """`data` is what the graph was given, `first` what its first output says, one prediction a row; `outputs` what all of them say, an
    object a row, where they are known. `predictions` are what the request asked for."""

    data: Table | Tensors
    first: list[Any]
    outputs: list[dict[str, Any]] | None
    predictions: list[Any]


def score(request: Request, graph: Runnable, *, chances: Literal["no", "at hand", "always"] = "no") -> Scored:
    """The graph's predictions for the rows of a request; with `chances` also those of the classes, where they are `at hand` or
    `always`.

    Raises
    ------
    MlflowError
        If the request cannot be read, or its data do not fit the model.
    """
    asked = read(request, graph.schema)
    data = fitting(asked.data, graph)
    wanted = graph.chances == "at hand" if chances == "at hand" else chances == "always" and graph.chances != "none"
    if not asked.all_outputs and not wanted:
        first = graph.predict(data)
        return Scored(data, first, None, first)
    try:
        outputs = graph.predict(data, all_outputs=True)
    except MlflowError as error:
        if asked.all_outputs or error.status >= 500:
            raise
        first = graph.predict(data)  # which may do where the others do not
        return Scored(data, first, None, first)
    first = [next(iter(row.values())) for row in outputs]
    return Scored(data, first, outputs, outputs if asked.all_outputs else first)


def fitting(data: Table | Tensors, graph: Runnable) -> Table | Tensors:
    """The data as the signature wants them. Raises `MlflowError` where they cannot be that."""
    if isinstance(data, Table) and graph.schema and graph.schema.columns:
        return enforce(data, graph.schema)
    return data
