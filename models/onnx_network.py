"""Networks stored as ONNX graphs, as modules of torch, for devices on which ONNX Runtime is not installed.

Only the operations of the built-in networks are here, with the attributes that these have; another one is an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Node:
    """One node of an ONNX graph."""

    operation: str  # as ONNX names it
    inputs: Sequence[str]  # names of values; "" for an optional one that is left out
    output: str
    attributes: Mapping[str, Any]  # numbers, lists of numbers, and text


def onnx_network(
    nodes: Sequence[Node], constants: Mapping[str, Tensor], inputs: Sequence[str], outputs: Sequence[str]
) -> nn.Module:
    """Build a module from a graph. What depends on constants alone is computed once, here.

    Args:
        nodes: in an order in which each comes after those that it depends on.
        constants: weights and other constant tensors by name.
        inputs: names of the module's arguments, in order.
        outputs: names of its results, in order.

    Returns:
        A module that maps tensors to a tuple of tensors. Floating-point constants are its buffers, float32.

    Raises:
        NotImplementedError: an operation that no built-in network has.
    """
    known: dict[str, Any] = dict(constants)
    graph, root, buffers = fx.Graph(), nn.Module(), dict[str, fx.Node]()
    values = {name: graph.placeholder(f"input_{place}") for place, name in enumerate(inputs)}

    def argument(node: Node, name: str) -> Any:
        if name in values:
            return values[name]
        constant = _constant(node, known[name]) if name else None
        if not isinstance(constant, Tensor):
            return constant
        if name not in buffers:
            root.register_buffer(f"constant_{len(buffers)}", constant)
            buffers[name] = graph.get_attr(f"constant_{len(buffers)}")
        return buffers[name]

    for node in nodes:
        if node.operation not in OPERATIONS:
            raise NotImplementedError(f"ONNX operation {node.operation}: not among those of {__name__}")
        operation, attributes = OPERATIONS[node.operation], dict(node.attributes)
        if all(name in known for name in node.inputs):
            known[node.output] = operation(*(_constant(node, known[name]) for name in node.inputs), **attributes)
        else:
            arguments = tuple(argument(node, name) for name in node.inputs)
            values[node.output] = graph.call_function(operation, arguments, attributes)
    graph.output(tuple(values[name] for name in outputs))
    return fx.GraphModule(root, graph, "OnnxNetwork")


def _constant(node: Node, constant: Any) -> Any:
    """Return a constant as a node needs it: a tensor, or numbers where they are sizes, axes or scales."""
    if not isinstance(constant, Tensor):
        return constant
    is_tensor = constant.ndim > 0 if node.operation == "Gather" else constant.is_floating_point()
    return constant if is_tensor and node.operation != "Resize" else constant.tolist()


def _cast(x: Tensor, to: int) -> Tensor:
    if to != 1:  # float32 in ONNX
        raise NotImplementedError(f"ONNX Cast to type {to}")
    return x.float()


def _pad(x: Tensor, pads: list[int]) -> Tensor:
    begins, ends = pads[: x.ndim], pads[x.ndim :]
    return functional.pad(x, [size for pair in zip(begins[::-1], ends[::-1], strict=True) for size in pair])


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    pads: Sequence[int] = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
    kernel_shape: Sequence[int] = (),
    auto_pad: str = "NOTSET",
) -> Tensor:
    _require("Conv", auto_pad, "NOTSET")
    top, left, bottom, right = pads
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, [left, right, top, bottom]), 0, 0
    return functional.conv2d(x, weight, bias, tuple(strides), (top, left), tuple(dilations), group)


def _conv_transpose(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, strides: Sequence[int]) -> Tensor:
    return functional.conv_transpose2d(x, weight, bias, tuple(strides))


def _max_pool(
    x: Tensor, *, kernel_shape: list[int], strides: list[int], pads: Sequence[int] = (0, 0, 0, 0), ceil_mode: int = 0
) -> Tensor:
    _require("MaxPool", (*pads, ceil_mode), (0,) * 5)
    return functional.max_pool2d(x, kernel_shape, strides)


def _global_average_pool(x: Tensor) -> Tensor:
    return x.mean((2, 3), keepdim=True)


def _transpose(x: Tensor, *, perm: list[int]) -> Tensor:
    return x.permute(perm)


def _shape(x: Tensor) -> list[int]:
    return list(x.shape)


def _gemm(a: Tensor, b: Tensor, c: Tensor, *, alpha: float, beta: float, transA: int, transB: int) -> Tensor:  # noqa: N803
    _require("Gemm", (alpha, beta, transA, transB), (1.0, 1.0, 0, 1))
    return torch.addmm(c, a, b.T)


def _resize(
    x: Tensor,
    roi: Any,
    scales: list[float],
    *,
    mode: str,
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "floor",
    **others: Any,  # of modes that these networks do not have
) -> Tensor:
    way = (mode, coordinate_transformation_mode, nearest_mode)
    if way == ("nearest", "asymmetric", "floor"):
        return functional.interpolate(x, scale_factor=scales[2:], mode="nearest")
    _require("Resize", way, ("linear", "half_pixel", "floor"))
    return functional.interpolate(x, scale_factor=scales[2:], mode="bilinear", align_corners=False)


def _grid_sample(x: Tensor, grid: Tensor, *, align_corners: int, mode: str, padding_mode: str) -> Tensor:
    _require("GridSample", mode, "linear")
    return functional.grid_sample(x, grid, "bilinear", padding_mode, bool(align_corners))


def _depth_to_space(x: Tensor, *, blocksize: int, mode: str) -> Tensor:
    _require("DepthToSpace", mode, "DCR")
    batch, depth, height, width = x.shape
    blocks = x.reshape(batch, blocksize, blocksize, depth // blocksize**2, height, width)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(batch, -1, height * blocksize, width * blocksize)


def _slice(x: Tensor, starts: list[int], ends: list[int], axes: list[int]) -> Tensor:
    for start, end, axis in zip(starts, ends, axes, strict=True):
        x = x.narrow(axis, start, min(end, x.shape[axis]) - start)
    return x


def _gather(x: Any, indices: Any, *, axis: int) -> Any:
    """Of a tensor, or of the list that is a shape."""
    if isinstance(x, list):
        return x[indices]
    return x.index_select(axis, indices)


def _concat(*parts: Any, axis: int) -> Any:
    """Of tensors, or of lists that become a shape."""
    return torch.cat(parts, axis) if isinstance(parts[0], Tensor) else [size for part in parts for size in part]


def _unsqueeze(x: Any, axes: list[int]) -> Any:
    """Of a tensor, or of a size that becomes part of a shape."""
    [axis] = axes
    return x.unsqueeze(axis) if isinstance(x, Tensor) else [x]


def _reduction(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def operation(x: Tensor, axes: list[int], *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Tensor:
        return reduce(x, dim=axes, keepdim=bool(keepdims))

    return operation


def _require(operation: str, found: Any, implemented: Any) -> None:
    if found != implemented:
        raise NotImplementedError(f"ONNX {operation} with {found}: only {implemented} is implemented")


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "Cast": _cast,
    "Clip": torch.clamp,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "Div": torch.div,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "GridSample": _grid_sample,
    "HardSwish": functional.hardswish,
    "LessOrEqual": torch.le,
    "MatMul": torch.matmul,
    "MaxPool": _max_pool,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Pad": _pad,
    "ReduceL2": _reduction(partial(torch.linalg.vector_norm, ord=2)),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceSum": _reduction(torch.sum),
    "Relu": torch.relu,
    "Reshape": torch.reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Squeeze": torch.squeeze,
    "Sub": torch.sub,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
