"""What a loaded version is, whatever its flavour."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from labcycle_lambdas.mlflow_error import MlflowError
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.schema import Schema


class Unusable(Exception):
    """The version cannot be run, or does not fit its signature."""


class CannotCompute(MlflowError):
    """The model failed on data that fit it, as far as can be said."""


Chances = Literal["none", "at hand", "dear"]


class Runnable(Protocol):
    """A version in memory. `schema` is the input schema of its signature, None where it has none. `chances` of the classes are among
    its outputs or not; `dear` where they take another computation."""

    @property
    def schema(self) -> Schema | None: ...

    @property
    def chances(self) -> Chances: ...

    def predict(self, data: Table | Tensors, *, all_outputs: bool = False) -> list[Any]:
        """One prediction a row; with `all_outputs` an object a row, with each output by name.

        Numbers that JSON cannot carry (NaN, infinities) are null.

        Raises
        ------
        MlflowError
            If the data do not fit the model; `CannotCompute` if it fails on them.
        """
