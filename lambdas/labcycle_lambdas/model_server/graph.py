"""An ONNX graph in memory, and how tables and tensors become its inputs and its outputs an answer.

Which output is the answer: the first. MLflow's own pyfunc of an ONNX model answers a data frame with a column an output,
and fails where an output is a matrix, as the probabilities of a scikit-learn classifier converted without ZipMap are
(mlflow/onnx, `_OnnxModelWrapper.predict`). A consumer expects one prediction a row: for a classifier the label, which
skl2onnx puts first, whether ZipMap is on or off. `all_outputs` gives the others, by name.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import onnxruntime

from labcycle_lambdas.ledger.deployed import Deployed, DeployedFile
from labcycle_lambdas.mlflow_error import BAD_REQUEST, invalid
from labcycle_lambdas.model_server.arrays import Array, as_array, cast, check_tensor, jsonable
from labcycle_lambdas.model_server.data import Table, Tensors
from labcycle_lambdas.model_server.model_files import loaded_files
from labcycle_lambdas.model_server.runnable import CannotCompute, Chances, Unusable
from labcycle_lambdas.model_server.schema import Schema

_LARGEST = {np.float32: float(np.finfo(np.float32).max), np.float64: float(np.finfo(np.float64).max)}
_GPU, _PROCESSORS = "CUDAExecutionProvider", "CPUExecutionProvider"
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


def load(deployed: Deployed, read: Callable[[DeployedFile], bytes]) -> Graph:
    """The graph of a version, ready to predict, of files that `read` gives. Raises `Unusable` where it cannot be run."""
    folder = PurePosixPath(deployed.model_file.path).parent
    _, *weights = loaded_files(deployed)
    external = {str(PurePosixPath(file.path).relative_to(folder)): read(file) for file in weights}
    return Graph(read(deployed.model_file), Schema.of(deployed.signature), external)


def _providers() -> list[str]:
    """What computes: the GPU where onnxruntime is the one for GPUs, and processors for what it cannot."""
    if _GPU not in onnxruntime.get_available_providers():
        return [_PROCESSORS]
    onnxruntime.preload_dlls()  # of CUDA, which lie beside it as packages
    return [_GPU, _PROCESSORS]


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
        providers = _providers()
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # onnxruntime has no common base class for what it raises
            raise Unusable(f"onnxruntime cannot load it: {_said(error)}") from error
        if providers[0] not in self._session.get_providers():  # it goes on with processors, and only warns
            raise Unusable("onnxruntime is the one for GPUs, and does not reach one")
        self.schema = schema
        self._inputs = [_input(i) for i in self._session.get_inputs()]
        outputs = self._session.get_outputs()
        self._outputs = [output.name for output in outputs]
        self.chances: Chances = "at hand" if outputs[1:] and all(map(_may_be_chances, outputs[1:])) else "none"
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
        answers = [jsonable(result) for result in results]
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
            feeds[wanted.name] = cast(array, wanted.dtype, wanted.name)
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
            array = as_array(table.rows, "the data")
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
            i.name: as_array([row[position[i.name]] for row in table.rows], f"column {i.name!r}") for i in self._inputs
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
        made = {name: as_array(value, f"input {name!r}") for name, value in values.items() if name is not None}
        for name, array in made.items():
            spec = next((t for t in schema if t.name == name or len(schema) == 1), None)
            if spec:
                check_tensor(array, spec, name)
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


def _may_be_chances(output: Any) -> bool:
    """A mapping a row, as ZipMap makes it, or real numbers: what the graph has computed for the prediction already."""
    return str(output.type).startswith("seq(map(") or output.type in ("tensor(float)", "tensor(double)")


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


def _said(error: Exception) -> str:
    """onnxruntime's words without its code prefix."""
    return str(error).replace("\n", " ").removeprefix("[ONNXRuntimeError] : ")[:400]
