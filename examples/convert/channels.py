"""Channels rounded up to multiples of 16 with zeros, so that ONNX Runtime keeps its blocked layout.

Its convolutions work on blocks of 16 channels (8 without AVX-512). Between feature maps of other widths it converts to
and fro, which took a fifth of the face detector's time. The additional channels are zero everywhere.
"""

from collections import defaultdict

import numpy as np
from onnx import NodeProto

from examples.convert.tflite_graph import Array, Graph

BLOCK = 16
KEEPS_ZEROS = {"Conv", "Relu", "Add", "MaxPool", "Pad"}  # on channels that are zero
ELEMENTWISE = {"Relu", "MaxPool"}


def widen_channels(graph: Graph) -> None:
    """Widen all feature maps between convolutions."""
    widths = _widths(graph)
    wide = _wide_values(graph, widths)
    for node in list(graph.nodes):
        if node.op_type == "Conv":
            _widen_convolution(graph, node, wide, widths)
        elif node.op_type == "Pad" and node.output[0] in wide:
            _copy_channels(graph, node, *(_rounded(widths[name]) for name in (node.input[0], node.output[0])))
    used = {name for node in graph.nodes for name in node.input}
    graph.nodes = [node for node in graph.nodes if node.op_type != "Cast" or node.output[0] in used]
    used = {name for node in graph.nodes for name in node.input}
    graph.initializers = [tensor for tensor in graph.initializers if tensor.name in used]


def _widths(graph: Graph) -> dict[str, int]:
    """Return the number of channels of every value between convolutions."""
    widths: dict[str, int] = {}
    for node in graph.nodes:
        if node.op_type == "Conv":
            widths[node.output[0]] = len(graph.arrays[node.input[1]])
        elif node.op_type in KEEPS_ZEROS and node.input[0] in widths:
            widths[node.output[0]] = widths[node.input[0]]
            if node.op_type == "Pad":
                pads = graph.arrays[node.input[1]]
                widths[node.output[0]] += int(pads[1] + pads[5])
    return widths


def _wide_values(graph: Graph, widths: dict[str, int]) -> set[str]:
    """Return the values that may be wider: made and used by operations that keep zeros only."""
    users: dict[str, list[NodeProto]] = defaultdict(list)
    for node in graph.nodes:
        for name in node.input:
            users[name].append(node)
    wide = {name for name in widths if users[name] and all(user.op_type in KEEPS_ZEROS for user in users[name])}
    while True:  # what is added, or goes through an operation, is as wide as the result
        narrow = {
            name
            for node in graph.nodes
            if node.op_type in ELEMENTWISE | {"Add", "Pad"} and node.output[0] in widths
            for name in (*node.input[: 1 if node.op_type == "Pad" else None], node.output[0])
            if not wide.issuperset((*node.input[: 1 if node.op_type == "Pad" else None], node.output[0]))
        }
        narrow |= {node.input[0] for node in graph.nodes if _is_depthwise(node) and node.output[0] not in wide}
        if not wide & narrow:
            return wide
        wide -= narrow


def _is_depthwise(node: NodeProto) -> bool:
    return node.op_type == "Conv" and any(one.name == "group" and one.i > 1 for one in node.attribute)


def _widen_convolution(graph: Graph, node: NodeProto, wide: set[str], widths: dict[str, int]) -> None:
    weights, (source, result) = graph.arrays[node.input[1]], (node.input[0], node.output[0])
    group = next((one for one in node.attribute if one.name == "group"), None)
    depthwise = group is not None and group.i > 1
    outputs = _rounded(len(weights)) if result in wide else len(weights)
    inputs = _rounded(widths[source]) if source in wide and not depthwise else weights.shape[1]
    if (outputs, inputs) == weights.shape[:2]:
        return
    if depthwise and group is not None:
        group.i = outputs
    node.input[1] = graph.constant(_padded(weights, (outputs, inputs, *weights.shape[2:])))
    if len(node.input) > 2:
        node.input[2] = graph.constant(_padded(graph.arrays[node.input[2]], (outputs,)))


def _copy_channels(graph: Graph, pad: NodeProto, before: int, after: int) -> None:
    """Replace a padding of channels by a convolution that copies them, or by nothing where the widths are equal."""
    if before == after:
        for node in graph.nodes:
            node.input[:] = [pad.input[0] if name == pad.output[0] else name for name in node.input]
        graph.nodes.remove(pad)
        return
    pad.op_type = "Conv"
    pad.input[1] = graph.constant(np.eye(after, before, dtype=np.float16)[:, :, None, None])


def _padded(values: Array, shape: tuple[int, ...]) -> Array:
    return np.pad(values, [(0, after - before) for before, after in zip(values.shape, shape, strict=True)])


def _rounded(width: int) -> int:
    return -(-width // BLOCK) * BLOCK
