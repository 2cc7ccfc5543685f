"""Versions that are no graphs: an estimator with functions that answer a table or an array, each row by itself.

It gets what MLflow's pyfunc gives it: a data frame with the signature's types, or an array where the signature has tensors.
Where pandas is not installed, which saves a start and a lot of room, the columns come side by side in an array instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from labcycle_lambdas.mlflow_error import BAD_REQUEST, invalid
from labcycle_lambdas.model_server.arrays import Array, as_array, cast, check_tensor, jsonable
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.runnable import CannotCompute, Chances, Unusable
from labcycle_lambdas.model_server.schema import Schema


def _pandas() -> Any:
    """None where it is not installed."""
    try:
        import pandas
    except ModuleNotFoundError:
        return None
    return pandas


PANDAS = _pandas()
PREDICTION = "prediction"
Answer = Callable[[Any], Any]
_DTYPES = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_TEXT = {"str", "object"}


class Predicting:
    """`answers` are functions by the name of what they answer; the first gives the prediction. `names`: which columns they take,
    in this order, where they have no others."""

    def __init__(
        self,
        schema: Schema | None,
        answers: Mapping[str, Answer],
        *,
        names: Sequence[str] | None = None,
        named_tensors: bool = False,
    ) -> None:
        """`named_tensors`: tensors that have names come in a mapping.

        Raises
        ------
        Unusable
            If the signature has other columns than `names`.
        """
        self.schema = schema
        self._answers, self._names, self._named_tensors = dict(answers), names, named_tensors
        self.chances: Chances = "dear" if answers.keys() - {PREDICTION} else "none"
        if schema and schema.columns and names and schema.names != list(names):
            raise Unusable(
                f"the model was trained on the columns {_some(names)}, the signature names {_some(schema.names)}: they must be "
                "the same, in the same order"
            )

    def predict(self, data: Table | Tensors, *, all_outputs: bool = False) -> list[Any]:
        """As `Runnable.predict`."""
        rows, given = self._from_table(data) if isinstance(data, Table) else self._from_tensors(data)
        if rows == 0:
            return []
        wanted = list(self._answers) if all_outputs else list(self._answers)[:1]
        answers = [self._ask(name, given, rows) for name in wanted]
        if not all_outputs:
            return answers[0]
        return [dict(zip(wanted, values, strict=True)) for values in zip(*answers, strict=True)]

    def _ask(self, name: str, given: Any, rows: int) -> list[Any]:
        try:
            result = self._answers[name](given)
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the model's own code raises
            said = str(error).replace("\n", " ")[:400]
            raise CannotCompute(
                BAD_REQUEST, f"The model cannot compute this input: {type(error).__name__}: {said}"
            ) from None
        answers = jsonable(result)
        if len(answers) != rows:
            raise CannotCompute(BAD_REQUEST, f"The model gave {len(answers)} answers for {rows} rows.")
        return answers

    def _from_table(self, table: Table) -> tuple[int, Any]:
        types = [column.type for column in self.schema.columns] if self.schema else []
        names = table.columns
        if self._names and names is not None and names != list(self._names):
            raise invalid(f"The model takes the columns {_some(self._names)}, in this order; got {_some(names)}.")
        if not table.rows:
            return 0, None
        width = len(names) if names is not None else len(table.rows[0])
        columns = [[row[at] for row in table.rows] for at in range(width)]
        if PANDAS is None:
            return len(table.rows), _side_by_side(columns, types)
        made = {at: _column(values, types[at] if types else None) for at, values in enumerate(columns)}
        frame = PANDAS.DataFrame(made)
        if names is not None:
            frame.columns = names
        return len(table.rows), frame

    def _from_tensors(self, tensors: Tensors) -> tuple[int, Any]:
        specs = self.schema.tensors if self.schema else ()
        named = [tensor.name for tensor in specs]
        values = dict(tensors.values)
        if len(specs) == 1 and len(values) == 1 and next(iter(values)) in (None, named[0]):
            values = {named[0]: next(iter(values.values()))}
        if specs and set(values) != set(named):
            got = ", ".join(str(name)[:40] for name in list(values)[:10])
            raise invalid(f"The model takes the inputs {_some([str(name) for name in named])}; got {got}.")
        arrays: dict[str | None, Array] = {}
        for name, value in values.items():
            array = as_array(value, f"input {name!r}")
            if spec := next((one for one in specs if one.name == name), None):
                check_tensor(array, spec, name)
                array = cast(array, np.object_ if spec.dtype in _TEXT else np.dtype(spec.dtype), name)
            arrays[name] = array
        lengths = {len(array) if array.ndim else 0 for array in arrays.values()}
        if len(lengths) != 1:
            raise invalid(f"The inputs have different numbers of rows: {sorted(lengths)}.")
        if len(arrays) == 1 and not (self._named_tensors and None not in arrays):
            return lengths.pop(), next(iter(arrays.values()))
        if not self._named_tensors:
            raise invalid("The model takes one tensor.")
        return lengths.pop(), arrays


def _column(values: list[Any], kind: str | None) -> Any:
    return np.array(values, _DTYPES[kind]) if kind in _DTYPES else values


def _side_by_side(columns: list[list[Any]], types: list[str]) -> Array:
    if not types:
        return as_array([list(row) for row in zip(*columns, strict=True)], "the data")
    if "string" in types:
        made = np.empty((len(columns[0]), len(columns)), dtype=object)
        for at, values in enumerate(columns):
            made[:, at] = values
        return made
    return np.column_stack([_column(values, kind) for values, kind in zip(columns, types, strict=True)])


def _some(names: Sequence[str]) -> str:
    return ", ".join(names)[:400]
