"""What an ONNX file says of itself, read without the package onnx: its header, and what it takes.

An ONNX model is one Protocol Buffers message; only the fields that are named here are looked at.
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3, https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSET = 1, 2, 3, 7, 8  # of ModelProto
_INITIALIZER, _INPUT = 5, 11  # of GraphProto
_TENSOR_NAME, _DATA_LOCATION = 8, 14  # of TensorProto
_EXTERNAL = 1
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "str",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}


class NoOnnx(Exception):
    """The bytes are no ONNX model; the message says what is wrong with them."""


@dataclass(frozen=True)
class OnnxFile:
    """`inputs` are tensors as MLflow's signature has them, None where one of them has another type or no known shape.

    `external`: the weights lie in other files.
    """

    ir_version: int
    producer: str
    opsets: dict[str, int]
    inputs: list[dict[str, Any]] | None
    external: bool


def read(content: bytes) -> OnnxFile:
    """Raises `NoOnnx`."""
    view = memoryview(content)
    try:
        return _model(view)
    except (IndexError, ValueError, AttributeError, TypeError) as error:
        raise NoOnnx(f"it is no ONNX model, or was cut off ({error or type(error).__name__})") from None


def _model(view: memoryview) -> OnnxFile:
    header: dict[int, Any] = {}
    opsets: dict[str, int] = {}
    for number, value in _fields(view):
        if number == _OPSET:
            opset = dict(_fields(value))
            opsets[_text(opset.get(1, b"")) or "ai.onnx"] = int(opset.get(2, 0))
        else:
            header[number] = value
    if not isinstance(header.get(_IR_VERSION), int) or _GRAPH not in header or not opsets:
        raise ValueError("it names no version, operators or graph")
    weights, inputs, external = set(), [], False
    for number, value in _fields(header[_GRAPH]):
        if number == _INITIALIZER:
            tensor = {key: found for key, found in _fields(value) if key in (_TENSOR_NAME, _DATA_LOCATION)}
            weights.add(_text(tensor.get(_TENSOR_NAME, b"")))
            external = external or tensor.get(_DATA_LOCATION) == _EXTERNAL
        elif number == _INPUT:
            inputs.append(value)
    taken = [_input(value) for value in inputs if _text(dict(_fields(value)).get(1, b"")) not in weights]
    known = [one for one in taken if one is not None]
    producer = f"{_text(header.get(_PRODUCER, b''))} {_text(header.get(_PRODUCER_VERSION, b''))}".strip()
    return OnnxFile(
        header[_IR_VERSION], producer, opsets, known if known and len(known) == len(taken) else None, external
    )


def _input(value: memoryview) -> dict[str, Any] | None:
    """ValueInfoProto: its name, and its TypeProto.Tensor with one number or name a dimension."""
    info = dict(_fields(value))
    tensor = dict(_fields(info[2])).get(1) if 2 in info else None
    if tensor is None:
        return None
    kind = dict(_fields(tensor))
    dtype = _DTYPES.get(kind.get(1, 0))
    if dtype is None or 2 not in kind:
        return None
    lengths = [dict(_fields(dimension)).get(1) for _, dimension in _fields(kind[2])]
    shape = [length if isinstance(length, int) and length > 0 else -1 for length in lengths]
    return {"type": "tensor", "name": _text(info.get(1, b"")), "tensor-spec": {"dtype": dtype, "shape": shape}}


def _fields(view: memoryview) -> Iterator[tuple[int, Any]]:
    """Number and value of each field of a message. Raises `IndexError`, `ValueError` where it is none."""
    at = 0
    while at < len(view):
        key, at = _varint(view, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has no number")
        if kind == _VARINT:
            value, at = _varint(view, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(view, at)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"a field has the type {kind}")
        if at + length > len(view):
            raise ValueError("a field is longer than the file")
        yield number, view[at : at + length]
        at += length


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")


def _text(value: memoryview | bytes) -> str:
    return bytes(value).decode()
