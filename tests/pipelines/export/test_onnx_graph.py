"""Changes of exported graphs: the same numbers from a smaller file."""

from typing import Any

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")

from pipelines.export.onnx_graph import remove_metadata, store_in_half  # noqa: E402

WEIGHTS = np.random.default_rng(0).standard_normal((50, 50)).astype(np.float32)
HALVES = WEIGHTS.astype(np.float16).astype(np.float32)


def make_model() -> Any:
    """Two products of matrices: only the second one's weights are numbers of half precision."""
    make, array = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = [make("MatMul", ["image", "first"], ["product"]), make("MatMul", ["product", "second"], ["out"])]
    image, out = (onnx.helper.make_tensor_value_info(name, 1, ["batch", 50]) for name in ("image", "out"))
    weights = [array(WEIGHTS, "first"), array(HALVES, "second")]
    graph = onnx.helper.make_graph(nodes, "graph", [image], [out], weights)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)


def run(model: Any) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": WEIGHTS[:3]})[0]


def test_weights_are_halved_where_nothing_is_lost() -> None:
    model = make_model()
    before, size = run(model), model.ByteSize()
    store_in_half(model)
    assert [node.op_type for node in model.graph.node] == ["Cast", "MatMul", "MatMul"]
    assert {tensor.name: tensor.data_type for tensor in model.graph.initializer} == {
        "first": onnx.TensorProto.FLOAT,
        "second.half": onnx.TensorProto.FLOAT16,
    }
    assert model.ByteSize() < size - 4_900
    np.testing.assert_array_equal(run(model), before)


def test_no_metadata_is_left() -> None:
    model = make_model()
    for part in (model, model.graph, model.graph.node[0]):
        part.metadata_props.add(key="place", value="/home/somebody")
    remove_metadata(model)
    assert b"somebody" not in model.SerializeToString()
