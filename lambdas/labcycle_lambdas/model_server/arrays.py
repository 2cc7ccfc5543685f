"""Values of requests as arrays, and what models answer as values of JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labcycle_lambdas.mlflow_error import BAD_REQUEST, invalid, kind_of
from labcycle_lambdas.model_server.runnable import CannotCompute
from labcycle_lambdas.model_server.schema import Tensor

Array = NDArray[Any]


def as_array(value: Any, where: str) -> Array:
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


def check_tensor(array: Array, spec: Tensor, name: str | None) -> None:
    if len(spec.shape) != array.ndim or any(n not in (-1, m) for n, m in zip(spec.shape, array.shape, strict=True)):
        raise invalid(
            f"The signature gives input {name!r} the shape {list(spec.shape)}, the data have {list(array.shape)}."
        )


def cast(array: Array, to: Any, name: str | None) -> Array:
    """To the type of the model's input `name`, but only where no value changes its meaning."""
    dtype, kind = np.dtype(to), array.dtype.kind
    where = f"The model's input {name!r}"
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


def jsonable(result: Any) -> list[Any]:
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
    if value is None or isinstance(value, str | int | float):
        return value
    raise CannotCompute(BAD_REQUEST, f"The model answers {type(value).__name__}, which JSON cannot carry.")
