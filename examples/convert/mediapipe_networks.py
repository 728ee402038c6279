"""Convert MediaPipe's networks to the ONNX files of toolkit/networks/weights.

    pip install tflite onnx
    pip download --no-deps --python-version 3.11 --only-binary=:all: mediapipe==0.10.21
    python -m examples.convert.mediapipe_networks mediapipe-0.10.21-*.whl toolkit/networks/weights

That wheel is the last one that contains its models (Apache-2.0). Each file takes uint8 pixels in batches of any size
and does all that MediaPipe's graphs do with numbers alone: scaling, the detectors' anchors, sigmoids, and the
replacement of the mesh's eyes, lips and irises by the attention's. Weights are stored as float16, as in the wheel.
"""

import argparse
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from examples.convert.channels import widen_channels
from examples.convert.tflite_graph import Graph, translate

Array = NDArray[Any]
Finish = Callable[[Graph], list[tuple[str, list[int | str]]]]
OPSET, IR_VERSION = 20, 9  # the oldest that have GridSample's "linear"; ONNX Runtime reads them since 1.17
MESH_POINTS, IRIS_POINTS = 468, 5
EYE_OUTLINE = 16  # the first points of an eye's part, whose mean z the iris takes


def main() -> None:
    """Convert all four networks."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("wheel", type=Path)
    words.add_argument("out", type=Path)
    words.add_argument("--only", choices=NETWORKS, help="convert one network; by default all four")
    given = words.parse_args()
    with zipfile.ZipFile(given.wheel) as wheel:
        for name in [given.only] if given.only else NETWORKS:
            source, value_range, finish = NETWORKS[name]
            graph = translate(wheel.read(f"mediapipe/modules/{source}.tflite"))
            path = given.out / f"{name}.onnx"
            outputs = finish(graph)
            widen_channels(graph)
            onnx.save(_model(graph, name, value_range, outputs), path)
            print(f"{path}: {path.stat().st_size:,} bytes")


def _model(
    graph: Graph, name: str, value_range: tuple[float, float], outputs: list[tuple[str, list[int | str]]]
) -> onnx.ModelProto:
    """Put the pixels' scaling before a network, and check the result."""
    low, high = value_range
    height, width = graph.input_hw
    scaling = [
        helper.make_node("Cast", ["pixels"], ["pixels_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels_float", graph.constant((high - low) / 255)], ["pixels_scaled"]),
        helper.make_node("Add", ["pixels_scaled", graph.constant(low)], ["pixels_shifted"]),
        helper.make_node("Transpose", ["pixels_shifted"], [graph.input], perm=[0, 3, 1, 2]),
    ]
    made = helper.make_graph(
        [*scaling, *graph.nodes],
        name,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", height, width, 3])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", *shape]) for output, shape in outputs],
        graph.initializers,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, producer_name="frontalize", opset_imports=opset, ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def _detector(strides: tuple[int, ...], per_layer: int) -> Finish:
    """Return what decodes a detector's output to boxes and points, in shares of the input's side."""

    def finish(graph: Graph) -> list[tuple[str, list[int | str]]]:
        side, (regressors, logits) = graph.input_hw[0], graph.named_outputs()
        offsets = np.tile(_anchors(side, strides, per_layer), (1, 8))
        offsets[:, 2:4] = 0  # width and height count from nothing
        graph.add(
            "Add", graph.add("Mul", regressors, graph.constant(1 / side)), graph.constant(offsets[None]), output="boxes"
        )
        clipped = graph.add("Clip", logits, graph.constant(-100.0), graph.constant(100.0))
        graph.add("Sigmoid", graph.add("Squeeze", clipped, graph.constant([2])), output="scores")
        return [("boxes", [len(offsets), 16]), ("scores", [len(offsets)])]

    return finish


def _anchors(side: int, strides: tuple[int, ...], per_layer: int) -> Array:
    """Return (N, 2) centers of the anchors, x and y in shares of the side; layers of one stride share a grid."""
    found = []
    for stride in dict.fromkeys(strides):
        cells = side // stride
        y, x = np.mgrid[:cells, :cells].reshape(2, -1)
        centers = (np.stack([x, y], axis=1) + 0.5) / cells
        found.append(np.repeat(centers, per_layer * strides.count(stride), axis=0))
    return np.concatenate(found).astype(np.float32)


def _mesh(graph: Graph) -> list[tuple[str, list[int | str]]]:
    """Join mesh, lips, eyes and irises to 478 points in pixels of the input, and turn the presence into a share.

    Lips and eyes replace x and y of the mesh's points; z stays the mesh's.
    """
    mesh, *parts, presence = graph.named_outputs()
    irises = [list(range(start, start + IRIS_POINTS)) for start in (MESH_POINTS, MESH_POINTS + IRIS_POINTS)]
    replaced = [*graph.attention_points, *irises]
    mesh = graph.add("Reshape", mesh, graph.constant([-1, MESH_POINTS, 3]))
    flat = [
        graph.add("Reshape", part, graph.constant([-1, len(points), 2]))
        for part, points in zip(parts, replaced, strict=True)
    ]
    xy, z = (
        graph.add("Slice", mesh, *(graph.constant([bound]) for bound in (start, stop, 2)))
        for start, stop in ((0, 2), (2, 3))
    )
    rows, depth = _joined(replaced)
    xy = graph.add("Gather", graph.add("Concat", xy, *flat, axis=1), graph.constant(rows), axis=1)
    graph.add("Concat", xy, graph.add("MatMul", graph.constant(depth), z), output="points", axis=2)
    graph.add("Sigmoid", graph.add("Reshape", presence, graph.constant([-1])), output="presence")
    return [("points", [len(rows), 3]), ("presence", [])]


def _joined(replaced: list[list[int]]) -> tuple[Array, Array]:
    """Return (478,) rows of the mesh and its parts, one after the other, and (478, 468) weights of z of the mesh."""
    count = MESH_POINTS + 2 * IRIS_POINTS
    rows, depth = np.zeros(count, np.int64), np.zeros((count, MESH_POINTS), np.float32)
    rows[:MESH_POINTS], depth[:MESH_POINTS] = np.arange(MESH_POINTS), np.eye(MESH_POINTS)
    start = MESH_POINTS
    for points in replaced:
        rows[points] = start + np.arange(len(points))
        start += len(points)
    for eye, iris in zip(replaced[1:3], replaced[3:], strict=True):
        depth[np.ix_(iris, eye[:EYE_OUTLINE])] = 1 / EYE_OUTLINE
    return rows, depth


def _person(graph: Graph) -> list[tuple[str, list[int | str]]]:
    """Drop the mask's only channel."""
    (mask,) = graph.named_outputs()
    graph.add("Squeeze", mask, graph.constant([1]), output="mask")
    return [("mask", list(graph.input_hw))]


NETWORKS: dict[str, tuple[str, tuple[float, float], Finish]] = {
    "face_detector": ("face_detection/face_detection_short_range", (-1, 1), _detector((8, 16, 16, 16), 2)),
    "face_detector_full_range": ("face_detection/face_detection_full_range_sparse", (-1, 1), _detector((4,), 1)),
    "face_mesh": ("face_landmark/face_landmark_with_attention", (0, 1), _mesh),
    "person_segmentation": ("selfie_segmentation/selfie_segmentation_landscape", (0, 1), _person),
}

if __name__ == "__main__":
    main()
