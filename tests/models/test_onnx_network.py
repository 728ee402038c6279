"""What the built-in networks do not show of themselves; that their outputs are right is tested with their files."""

from typing import Any

import pytest
import torch

from models.onnx_network import Node, onnx_network

HALF = torch.tensor([0.5, 2.0], dtype=torch.float16)


def test_what_depends_on_constants_alone_is_computed_once() -> None:
    """Weights are stored as float16: casting them in every pass would take as long as the convolutions."""
    nodes = [
        Node("Cast", ["half"], "weights", {"to": 1}),
        Node("Mul", ["weights", "weights"], "squares", {}),
        Node("Mul", ["x", "squares"], "y", {}),
    ]
    network = onnx_network(nodes, {"half": HALF}, ["x"], ["y"])
    [result] = network(torch.tensor([[1.0, 1.0], [2.0, 3.0]]))
    assert result.tolist() == [[0.25, 4.0], [0.5, 12.0]]
    assert [buffer.dtype for buffer in network.buffers()] == [torch.float32]
    assert [node.op for node in network.graph.nodes] == ["placeholder", "get_attr", "call_function", "output"]  # type: ignore[union-attr]


def test_tflites_uneven_padding_is_that_of_the_graph() -> None:
    """Stride 2 pads right and below only."""
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    node = Node("Conv", ["x", "ones"], "y", {"pads": [0, 0, 1, 1], "strides": [2, 2], "kernel_shape": [3, 3]})
    [result] = onnx_network([node], {"ones": torch.ones(1, 1, 3, 3)}, ["x"], ["y"])(image)
    assert result.flatten().tolist() == [45.0, 39.0, 66.0, 50.0]


@pytest.mark.parametrize(
    ("operation", "attributes", "named"),
    [
        ("Softplus", {}, "Softplus"),
        ("Cast", {"to": 10}, "type 10"),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}, "MaxPool"),
        ("DepthToSpace", {"blocksize": 2, "mode": "CRD"}, "CRD"),
    ],
)
def test_what_is_not_implemented_is_an_error(operation: str, attributes: dict[str, Any], named: str) -> None:
    with pytest.raises(NotImplementedError, match=named):
        onnx_network([Node(operation, ["x"], "y", attributes)], {}, ["x"], ["y"])(torch.zeros(1, 4, 4, 4))
