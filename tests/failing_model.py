"""A model that is known to be bad."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def failing_above(limit: float, features: int) -> onnx.ModelProto:
    """Answers 0 for each row of so many features, but fails where the first is greater than `limit`."""
    bound = numpy_helper.from_array(np.array(limit, dtype=np.float32), "bound")
    first, table = (numpy_helper.from_array(np.array([0], dtype=np.int64), name) for name in ("first", "table"))
    nodes = [
        helper.make_node("Gather", ["x", "first"], ["value"], axis=1),
        helper.make_node("Greater", ["value", "bound"], ["too_large"]),
        helper.make_node("Cast", ["too_large"], ["position"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "position"], ["y"]),  # the table has one entry: position 1 is none
    ]
    graph = helper.make_graph(
        nodes,
        "failing",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [None, 1])],
        [bound, first, table],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    return model
