"""The input schema of an MLflow model signature: named columns, or tensors.

Format: mlflow/types/schema.py, `Schema.to_dict`. Plain Python, so that the preflight of a promotion can check it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

COLUMN_TYPES = ("boolean", "integer", "long", "float", "double", "string")
TENSOR_TYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "str", "object"),
)
_JSON_TYPES = {"boolean": bool, "integer": int, "long": int, "float": float, "double": float, "string": str}
_NAMED = 10  # columns, in a message
_FLOAT32_MOST = 3.4028234663852886e38
RANGES: Mapping[str, tuple[float, float]] = {
    "integer": (-(2**31), 2**31 - 1),
    "long": (-(2**63), 2**63 - 1),
    "float": (-_FLOAT32_MOST, _FLOAT32_MOST),
}


@dataclass(frozen=True)
class Column:
    """`type` is one of `COLUMN_TYPES`; an optional column may be absent or null."""

    name: str
    type: str
    required: bool = True


@dataclass(frozen=True)
class Tensor:
    """`dtype` is a numpy name; -1 in `shape` is any length. `name` is None where the model takes one nameless tensor."""

    name: str | None
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Schema:
    """Either columns or tensors."""

    columns: tuple[Column, ...] = ()
    tensors: tuple[Tensor, ...] = ()

    @classmethod
    def of(cls, signature: Mapping[str, Any] | None) -> Schema | None:
        """That of a deployed version's signature; None where it has none."""
        return cls.from_doc(signature["inputs"]) if signature else None

    @classmethod
    def from_doc(cls, inputs: Sequence[Mapping[str, Any]]) -> Schema:
        """From the `inputs` of a signature.

        Raises
        ------
        ValueError
            If it holds what the model server cannot take, such as a date or an image; the message says which.
        """
        if not isinstance(inputs, Sequence) or not inputs or not all(isinstance(i, Mapping) for i in inputs):
            raise ValueError("the signature has no inputs")
        tensors = [entry for entry in inputs if entry.get("type") == "tensor"]
        if tensors and len(tensors) != len(inputs):
            raise ValueError("the signature mixes tensors and columns")
        if tensors:
            return cls(tensors=tuple(_tensor(entry, len(tensors)) for entry in tensors))
        return cls(columns=tuple(_column(entry, position) for position, entry in enumerate(inputs)))

    @cached_property
    def types(self) -> tuple[type, ...]:
        """As which JSON gives a value of each column, if nothing is to be converted."""
        return tuple(_JSON_TYPES[column.type] for column in self.columns)

    @cached_property
    def ranges(self) -> list[tuple[int, float, float]]:
        """The place of each column whose type does not take every such value, and the least and the most that it takes."""
        return [(at, *RANGES[column.type]) for at, column in enumerate(self.columns) if column.type in RANGES]

    @cached_property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]


def listed(names: Sequence[str]) -> str:
    """Some columns, for people."""
    shown = ", ".join(repr(name[:80]) for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _column(entry: Mapping[str, Any], position: int) -> Column:
    kind, name = entry.get("type"), entry.get("name")
    if kind not in COLUMN_TYPES:
        raise ValueError(
            f"column {name!r} of the signature has the type {kind!r}; the model server takes {', '.join(COLUMN_TYPES)}"
        )
    return Column(str(name) if name is not None else str(position), str(kind), bool(entry.get("required", True)))


def _tensor(entry: Mapping[str, Any], of: int) -> Tensor:
    spec = entry.get("tensor-spec")
    name = entry.get("name")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("shape"), Sequence):
        raise ValueError(f"tensor {name!r} of the signature has no shape")  # noqa: TRY004 - a bad document
    dtype = str(spec.get("dtype"))
    if dtype not in TENSOR_TYPES:
        raise ValueError(
            f"tensor {name!r} of the signature has the type {dtype!r}, which the model server does not take"
        )
    if name is None and of > 1:
        raise ValueError("the signature has several tensors, one of them without a name")
    return Tensor(None if name is None else str(name), dtype, tuple(int(length) for length in spec["shape"]))
