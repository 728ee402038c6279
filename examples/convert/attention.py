"""The three operations of MediaPipe's attention mesh that are no standard ones, in operations of ONNX.

Source: Grishchenko et al., Attention Mesh, CVPRW 2020; mediapipe/util/tflite/operations.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from examples.convert.tflite_graph import Graph


def require(known: bool, what: str) -> None:
    """Stop at what no network of MediaPipe has, instead of translating it wrongly."""
    if not known:
        raise NotImplementedError(f"{what}: not among what MediaPipe's networks have; add it here")


def transform_from_landmarks(graph: "Graph", points: str, options: dict[str, Any]) -> str:
    """Compute the matrix from an upright square grid to the square around some landmarks, (N, 4, 4).

    The square is upright on the line between two landmarks, and ``scale_x`` times as wide as the landmarks' box.
    """
    right, left = (_gather(graph, points, [options[key]]) for key in ("right_rotation_idx", "left_rotation_idx"))
    across = graph.add("Sub", right, left)  # (N, 1, 2)
    across = graph.add("Div", across, graph.add("ReduceL2", across, graph.constant([2])))
    dx, dy = _slice(graph, across, 2, 0), _slice(graph, across, 2, 1)
    minus_dy = graph.add("Neg", dy)
    rows = (graph.add("Concat", dx, minus_dy, axis=2), graph.add("Concat", dy, dx, axis=2))
    rotation = graph.add("Concat", *rows, axis=1)  # (N, 2, 2), upright -> image; its transpose is the way back
    subset = graph.add("MatMul", _gather(graph, points, options["subset_idxs"]), rotation)
    high, low = (graph.add(kind, subset, graph.constant([1])) for kind in ("ReduceMax", "ReduceMin"))
    half = graph.constant(0.5)
    back = graph.add("Transpose", rotation, perm=[0, 2, 1])
    center = graph.add("MatMul", graph.add("Mul", graph.add("Add", high, low), half), back)
    side = options["output_width"]
    require(
        side == options["output_height"] and options["target_rotation_radians"] == 0, "grid that is no upright square"
    )
    factors = np.array([options["scale_x"] / side, options["scale_y"] / side], np.float32)
    scale = graph.add("Mul", graph.add("Sub", high, low), graph.constant(factors))  # (N, 1, 2)
    linear = graph.add("Mul", rotation, scale)
    corner = graph.add("Mul", graph.add("ReduceSum", linear, graph.constant([2])), graph.constant(-side / 2))
    shift = graph.add("Add", graph.add("Transpose", center, perm=[0, 2, 1]), corner)
    nothing = graph.add("Mul", shift, graph.constant(0.0))
    return graph.add("Concat", linear, nothing, shift, axis=2)  # (N, 2, 4): the other two rows are never read


def transform_tensor(graph: "Graph", features: str, matrix: str, side: int, size: tuple[int, int]) -> str:
    """Sample a feature map, (N, C, H, W), on a square grid that a matrix places in it; 0 outside."""
    rows, columns = np.mgrid[:side, :side].reshape(2, -1) + 0.5
    grid = np.stack([columns, rows, np.zeros_like(rows), np.ones_like(rows)]).astype(np.float32)
    height, width = size
    # Positions count from the corner of the first cell, as GridSample's do without aligned corners.
    positions = graph.add("Transpose", graph.add("MatMul", matrix, graph.constant(grid)), perm=[0, 2, 1])
    normalized = graph.add("Mul", positions, graph.constant(np.array([2 / width, 2 / height], np.float32)))
    normalized = graph.add("Sub", normalized, graph.constant(1.0))
    normalized = graph.add("Reshape", normalized, graph.constant([-1, side, side, 2]))
    sampled = graph.add("GridSample", features, normalized, mode="linear", padding_mode="zeros", align_corners=0)
    # MediaPipe gives 0 as soon as a position lies beyond the center of the outermost cell.
    bound = graph.constant(np.array([1 - 1 / width, 1 - 1 / height], np.float32))
    inside = graph.add("LessOrEqual", graph.add("Abs", normalized), bound)
    inside = graph.add("ReduceMin", graph.add("Cast", inside, to=1), graph.constant([3]), keepdims=0)
    return graph.add("Mul", sampled, graph.add("Unsqueeze", inside, graph.constant([1])))


def transform_landmarks(graph: "Graph", points: str, matrix: str) -> str:
    """Carry (N, P, 2) points of the square grid back by the matrix."""
    linear = graph.add("Transpose", _slice(graph, matrix, 2, 0, 2), perm=[0, 2, 1])
    shift = graph.add("Transpose", _slice(graph, matrix, 2, 3), perm=[0, 2, 1])
    return graph.add("Add", graph.add("MatMul", points, linear), shift)


def _gather(graph: "Graph", points: str, indices: list[int]) -> str:
    """Return x and y of some of (N, 468, 3) points."""
    return _slice(graph, graph.add("Gather", points, graph.constant(list(indices)), axis=1), 2, 0, 2)


def _slice(graph: "Graph", value: str, axis: int, start: int, count: int = 1) -> str:
    return graph.add("Slice", value, *(graph.constant([bound]) for bound in (start, start + count, axis)))
