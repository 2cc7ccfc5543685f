"""Score one request with one graph: what the API and the batches have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labcycle_lambdas.http import Request
from labcycle_lambdas.model_server.columns import enforce
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.payload import read
from labcycle_lambdas.model_server.runnable import Runnable


@dataclass(frozen=True)
class Scored:
    """`data` is what the graph was given, `predictions` what it said; `all_outputs` as the request asked."""

    data: Table | Tensors
    predictions: list[Any]
    all_outputs: bool

    @property
    def first(self) -> list[Any]:
        """The first output's predictions, one a row."""
        return [next(iter(p.values())) for p in self.predictions] if self.all_outputs else self.predictions


def score(request: Request, graph: Runnable) -> Scored:
    """The graph's predictions for the rows of a request.

    Raises
    ------
    MlflowError
        If the request cannot be read, or its data do not fit the model.
    """
    asked = read(request, graph.schema)
    data = fitting(asked.data, graph)
    return Scored(data, graph.predict(data, all_outputs=asked.all_outputs), asked.all_outputs)


def fitting(data: Table | Tensors, graph: Runnable) -> Table | Tensors:
    """The data as the signature wants them. Raises `MlflowError` where they cannot be that."""
    if isinstance(data, Table) and graph.schema and graph.schema.columns:
        return enforce(data, graph.schema)
    return data
