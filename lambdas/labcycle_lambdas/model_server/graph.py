"""An ONNX graph in memory, and how tables and tensors become its inputs and its outputs an answer.

Which output is the answer: the first. MLflow's own pyfunc of an ONNX model answers a data frame with a column an output,
and fails where an output is a matrix, as the probabilities of a scikit-learn classifier converted without ZipMap are
(mlflow/onnx, `_OnnxModelWrapper.predict`). A consumer expects one prediction a row: for a classifier the label, which
skl2onnx puts first, whether ZipMap is on or off. `all_outputs` gives the others, by name.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from labcycle_lambdas.mlflow_error import BAD_REQUEST, MlflowError, invalid, kind_of
from labcycle_lambdas.model_server.payload import Table, Tensors
from labcycle_lambdas.model_server.schema import Schema, Tensor

Array = NDArray[Any]
_LARGEST = {np.float32: float(np.finfo(np.float32).max), np.float64: float(np.finfo(np.float64).max)}
_MEMORY_MB_A_CPU = 1769  # https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_DTYPES: Mapping[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
    **{f"tensor({name})": np.dtype(name) for name in ("int8", "int16", "int32", "int64")},
    **{f"tensor({name})": np.dtype(name) for name in ("uint8", "uint16", "uint32", "uint64")},
}


class Unusable(Exception):
    """The graph cannot be run, or does not fit its signature."""


class CannotCompute(MlflowError):
    """The graph failed on data that fit it, as far as can be said."""


@dataclass(frozen=True)
class _Input:
    name: str
    dtype: Any
    shape: tuple[int | None, ...] | None  # None: any number of dimensions


class Graph:
    """A loaded graph. `schema` is the input schema of the model's signature, None where it has none."""

    def __init__(self, model: bytes, schema: Schema | None, external: Mapping[str, bytes] | None = None) -> None:
        """`external`: files with the weights of a large model, by their path relative to the graph.

        Raises
        ------
        Unusable
            If onnxruntime refuses the bytes, or the graph takes other inputs than the signature says.
        """
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = _cpus()
        if external:
            names = list(external)
            options.add_external_initializers_from_files_in_memory(
                names, [external[name] for name in names], [len(external[name]) for name in names]
            )
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common base class for what it raises
            raise Unusable(f"onnxruntime cannot load it: {_said(error)}") from error
        self.schema = schema
        self._inputs = [_input(i) for i in self._session.get_inputs()]
        self._outputs = [output.name for output in self._session.get_outputs()]
        if schema:
            self._check(schema)

    def predict(self, data: Table | Tensors, *, all_outputs: bool = False) -> list[Any]:
        """One prediction a row; with `all_outputs` an object a row, with each output by name.

        Numbers that JSON cannot carry (NaN, infinities) are null.

        Raises
        ------
        MlflowError
            If the data do not fit the graph; `CannotCompute` if it fails on them.
        """
        rows, feeds = self._feeds(data)
        if rows == 0:
            return []
        wanted = self._outputs if all_outputs else self._outputs[:1]
        try:
            results = self._session.run(wanted, feeds)
        except Exception as error:  # noqa: BLE001 - onnxruntime has no base class
            raise CannotCompute(BAD_REQUEST, f"The model cannot compute this input: {_said(error)}") from None
        answers = [_jsonable(result) for result in results]
        if not all_outputs:
            return answers[0]
        for name, answer in zip(wanted, answers, strict=True):
            if len(answer) != rows:
                raise invalid(f"The output {name!r} has no value a row: ask without params.outputs.")
        return [dict(zip(wanted, values, strict=True)) for values in zip(*answers, strict=True)]

    # ---- inputs -------------------------------------------------------------------------------------------------

    def _check(self, schema: Schema) -> None:
        if len(self._inputs) > 1:
            known = set(schema.names) | {tensor.name for tensor in schema.tensors}
            missing = [i.name for i in self._inputs if i.name not in known]
            if missing:
                raise Unusable(f"the graph takes {', '.join(missing[:10])}, which the signature does not name")
            return
        shape = self._inputs[0].shape
        width = shape[1] if shape is not None and len(shape) == 2 else None
        if schema.columns and width is not None and width != len(schema.columns):
            raise Unusable(f"the graph takes {width} features, the signature names {len(schema.columns)} columns")

    def _feeds(self, data: Table | Tensors) -> tuple[int, dict[str, Array]]:
        if isinstance(data, Table) and len(data.rows) == 1 and (array := self._one_row(data.rows[0])) is not None:
            return 1, {self._inputs[0].name: array}
        arrays = self._from_table(data) if isinstance(data, Table) else self._from_tensors(data)
        feeds = {}
        for wanted in self._inputs:
            array = _shaped(arrays[wanted.name], wanted)
            feeds[wanted.name] = _cast(array, wanted)
        lengths = {name: len(array) if array.ndim else 0 for name, array in feeds.items()}
        if len(set(lengths.values())) > 1:
            raise invalid(f"The inputs have different numbers of rows: {lengths}.")
        return next(iter(lengths.values())), feeds

    def _one_row(self, row: list[Any]) -> Array | None:
        """A row of real numbers that the graph takes side by side, which is what is asked most: numpy's ways of looking at
        arrays take longer here than the model does. None for any other, and where a number may be too large."""
        wanted = self._inputs[0]
        if len(self._inputs) > 1 or wanted.dtype not in _LARGEST or wanted.shape is None or len(wanted.shape) != 2:
            return None
        fits = wanted.shape[1] in (None, len(row)) and set(map(type, row)) == {float}
        # No number is larger than the length of the vector that they make.
        return np.array([row], wanted.dtype) if fits and math.hypot(*row) <= _LARGEST[wanted.dtype] else None

    def _from_table(self, table: Table) -> dict[str, Array]:
        """A single input takes all columns side by side, several take one column each, by name."""
        if len(self._inputs) == 1:
            width = len(table.columns) if table.columns is not None else (len(table.rows[0]) if table.rows else 0)
            array = _array(table.rows, "the data")
            if table.rows and array.shape != (len(table.rows), width):
                raise invalid("In the data: expected a number, string or boolean in each place, got arrays.")
            return {self._inputs[0].name: array.reshape(len(table.rows), width)}
        position = {name: i for i, name in enumerate(table.columns or [])}
        missing = [i.name for i in self._inputs if i.name not in position]
        if missing:
            raise invalid(
                f"The model takes the columns {', '.join(i.name for i in self._inputs)[:400]}; missing: {missing[:10]}."
            )
        return {
            i.name: _array([row[position[i.name]] for row in table.rows], f"column {i.name!r}") for i in self._inputs
        }

    def _from_tensors(self, tensors: Tensors) -> dict[str, Array]:
        values, names = dict(tensors.values), [i.name for i in self._inputs]
        schema = self.schema.tensors if self.schema else ()
        if len(names) == 1 and len(values) == 1:
            given = next(iter(values))
            allowed = {None, names[0], *(tensor.name for tensor in schema)}
            if given not in allowed:
                raise invalid(f"The model has no input {str(given)[:80]!r}; it takes {names[0]!r}.")
            values = {names[0]: values[given]}
        elif set(values) != set(names):
            got = ", ".join(str(name)[:40] for name in list(values)[:10])
            raise invalid(f"The model takes the inputs {', '.join(names)[:400]}; got {got}.")
        made = {name: _array(value, f"input {name!r}") for name, value in values.items() if name is not None}
        for name, array in made.items():
            spec = next((t for t in schema if t.name == name or len(schema) == 1), None)
            if spec:
                _check_tensor(array, spec, name)
        return made


def _cpus() -> int:
    """Those that Lambda gives to a function of this memory; a thread above that number only takes time from the others."""
    return max(1, int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")) // _MEMORY_MB_A_CPU)


def _input(given: Any) -> _Input:
    if given.type not in _DTYPES:
        raise Unusable(
            f"the graph's input {given.name!r} has the type {given.type}, which the model server does not take"
        )
    shape = None if given.shape is None else tuple(n if isinstance(n, int) else None for n in given.shape)
    return _Input(given.name, _DTYPES[given.type], shape)


def _array(value: Any, where: str) -> Array:
    """Nested lists as an array, with null as NaN among numbers."""
    try:
        array = np.asarray(value)
        if array.dtype.kind == "O" and array.size and all(_is_number(v) or v is None for v in array.flat):
            array = np.asarray(value, dtype=np.float64)
    except (ValueError, OverflowError, RecursionError):  # rows of different lengths; more than 64 dimensions
        raise invalid(f"In {where}: the rows have different shapes, or numbers are too large.") from None
    if array.dtype.kind == "O" and not all(isinstance(v, str | bool) or _is_number(v) for v in array.flat):
        odd = next(v for v in array.flat if not (isinstance(v, str | bool) or _is_number(v)))
        raise invalid(f"In {where}: expected numbers, strings or booleans, got {kind_of(odd)}.")
    if array.dtype.kind == "U" and not _all_text(value):
        raise invalid(f"In {where}: numbers and strings are mixed.")
    return array


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _all_text(value: Any) -> bool:
    return all(_all_text(v) for v in value) if isinstance(value, list) else isinstance(value, str)


def _shaped(array: Array, wanted: _Input) -> Array:
    """A column of values for an input of two dimensions, and the other way round; then the fixed lengths are checked."""
    if wanted.shape is None:
        return array
    if array.ndim == 1 and len(wanted.shape) == 2:
        array = array.reshape(-1, 1) if wanted.shape[1] in (None, 1) else array
    if array.ndim == 2 and len(wanted.shape) == 1 and array.shape[1] == 1:
        array = array.reshape(-1)
    fits = array.ndim == len(wanted.shape) and all(
        expected is None or expected == got for expected, got in zip(wanted.shape[1:], array.shape[1:], strict=True)
    )
    if not fits and array.size:
        shape = ["any" if n is None else n for n in wanted.shape]
        raise invalid(f"The model's input {wanted.name!r} has the shape {shape}, the data have {list(array.shape)}.")
    return array


def _check_tensor(array: Array, spec: Tensor, name: str) -> None:
    if len(spec.shape) != array.ndim or any(n not in (-1, m) for n, m in zip(spec.shape, array.shape, strict=True)):
        raise invalid(
            f"The signature gives input {name!r} the shape {list(spec.shape)}, the data have {list(array.shape)}."
        )


def _cast(array: Array, wanted: _Input) -> Array:
    """To the graph's type, but only where no value changes its meaning."""
    dtype, kind = np.dtype(wanted.dtype), array.dtype.kind
    where = f"The model's input {wanted.name!r}"
    if array.size == 0:
        return array.astype(dtype)
    if dtype.kind == "O":
        if kind in "U":
            return array.astype(object)
        if kind == "O" and all(isinstance(v, str) for v in array.flat):
            return array
        raise invalid(f"{where} takes strings.")
    if dtype.kind == "b":
        if kind == "b":
            return array
        raise invalid(f"{where} takes true and false.")
    if kind == "b" or kind not in "iuf":
        raise invalid(f"{where} takes numbers.")
    if dtype.kind == "f":
        if array.dtype == dtype:
            return array
        with np.errstate(over="ignore"):
            made = array.astype(dtype)
        if np.isinf(made).any() and bool(np.any(np.isinf(made) & np.isfinite(array))):
            raise invalid(f"{where} takes numbers of {dtype.itemsize * 8} bits; at least one is too large.")
        return made
    limits = np.iinfo(dtype)
    whole = kind in "iu" or bool(np.all(np.isfinite(array)) and np.all(np.floor(array) == array))
    if not whole or int(array.min()) < limits.min or int(array.max()) > limits.max:
        raise invalid(f"{where} takes whole numbers from {limits.min} to {limits.max}.")
    return array.astype(dtype)


# ---- outputs ----------------------------------------------------------------------------------------------------


def _jsonable(result: Any) -> list[Any]:
    """An output, a value a row. A matrix of one column is a list; ZipMap's dictionaries have text keys."""
    if isinstance(result, list):
        return [_plain(value) for value in result]
    array = np.asarray(result)
    if array.ndim == 0:
        array = array.reshape(1)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array.reshape(-1)
    if array.dtype.kind == "f" and not bool(np.all(np.isfinite(array))):
        return [_plain(value) for value in array.tolist()]
    if array.dtype.kind in "fiubU":
        return list(array.tolist())
    return [_plain(value) for value in array.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _said(error: Exception) -> str:
    """onnxruntime's words without its code prefix."""
    return str(error).replace("\n", " ").removeprefix("[ONNXRuntimeError] : ")[:400]
