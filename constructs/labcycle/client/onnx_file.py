"""What an ONNX file says of itself: its header, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from labcycle.errors import LabcycleError

if TYPE_CHECKING:
    import onnx

_DTYPES = {  # that MLflow's signatures have
    *("bool", "str", "float16", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
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
    """Raises `NoOnnx`, and `LabcycleError` where the package onnx is missing."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError:
        raise LabcycleError(
            "labcycle models import: to read an .onnx file the Python package onnx is needed: pip install 'labcycle[onnx]'. Or save "
            "the model with mlflow.onnx.save_model elsewhere, and name the folder"
        ) from None
    try:
        model = onnx.load_model_from_string(content)
    except (DecodeError, ValueError) as error:
        raise NoOnnx(f"it is no ONNX model, or was cut off ({error})") from None
    if not model.ir_version or not model.HasField("graph") or not model.opset_import:
        raise NoOnnx("it is no ONNX model: it names no version, operators or graph")
    weights = {tensor.name for tensor in model.graph.initializer}
    taken = [_input(value) for value in model.graph.input if value.name not in weights]
    known = [one for one in taken if one is not None]
    return OnnxFile(
        model.ir_version,
        f"{model.producer_name} {model.producer_version}".strip(),
        {opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        known if known and len(known) == len(taken) else None,
        any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in model.graph.initializer),
    )


def _input(value: onnx.ValueInfoProto) -> dict[str, Any] | None:
    from onnx import helper

    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape") or not tensor.elem_type:
        return None
    try:
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    except KeyError:
        return None
    name = "str" if dtype.kind == "O" else dtype.name
    if name not in _DTYPES:
        return None
    shape = [dimension.dim_value if dimension.dim_value > 0 else -1 for dimension in tensor.shape.dim]
    return {"type": "tensor", "name": value.name, "tensor-spec": {"dtype": name, "shape": shape}}
