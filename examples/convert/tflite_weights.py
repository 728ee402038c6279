"""The constants of a TFLite file, sparse ones included."""

from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

Array = NDArray[Any]
DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


def read_weights(model: Any) -> dict[int, Array]:
    """Read all constants of a network, and what DENSIFY and DEQUANTIZE make of them, by number of the tensor."""
    graph = model.Subgraphs(0)
    found: dict[int, Array] = {}
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(data, int):  # no data: an activation
            continue
        values = data.view(DTYPES[tensor.Type()])
        shape = np.array(tensor.ShapeAsNumpy() if tensor.ShapeLength() else [], int)
        sparsity = tensor.Sparsity()
        found[number] = values.reshape(shape) if sparsity is None else _dense(values, shape, sparsity)
    for place in range(graph.OperatorsLength()):
        operation = graph.Operators(place)
        code = model.OperatorCodes(operation.OpcodeIndex()).BuiltinCode()
        if code in (tflite.BuiltinOperator.DEQUANTIZE, tflite.BuiltinOperator.DENSIFY):
            source, target = int(operation.Inputs(0)), int(operation.Outputs(0))
            if source in found:
                found[target] = found[source]
    return found


def _dense(values: Array, shape: Array, sparsity: Any) -> Array:
    """Expand compressed sparse rows over the axes, and blocks, in the order of traversal."""
    order, blocks = sparsity.TraversalOrderAsNumpy(), sparsity.BlockMapAsNumpy()
    blocks = [] if isinstance(blocks, int) else blocks.tolist()
    levels = [sparsity.DimMetadata(level) for level in range(sparsity.DimMetadataLength())]
    sizes = np.array(shape, int)
    for block, axis in enumerate(blocks):
        sizes[axis] //= levels[len(shape) + block].DenseSize()
    places: list[tuple[tuple[int, ...], int]] = [((), 0)]  # indices so far, and the position in the level's segments
    for level in levels:
        places = [
            ((*indices, index), position) for indices, parent in places for index, position in _children(level, parent)
        ]
    dense = np.zeros(shape, values.dtype)
    for indices, position in places:
        dense[_place(indices, order, blocks, levels, len(shape))] = values[position]
    return dense


def _children(level: Any, parent: int) -> list[tuple[int, int]]:
    if level.Format() == tflite.DimensionType.DENSE:
        size = level.DenseSize()
        return [(index, parent * size + index) for index in range(size)]
    segments, indices = (_vector(kind(), table) for kind, table in _sparse_parts(level))
    return [(int(indices[at]), at) for at in range(segments[parent], segments[parent + 1])]


def _sparse_parts(level: Any) -> list[tuple[Any, Any]]:
    return [(level.ArraySegmentsType, level.ArraySegments()), (level.ArrayIndicesType, level.ArrayIndices())]


def _vector(kind: int, table: Any) -> Array:
    made = {
        tflite.SparseIndexVector.Int32Vector: tflite.Int32Vector,
        tflite.SparseIndexVector.Uint16Vector: tflite.Uint16Vector,
        tflite.SparseIndexVector.Uint8Vector: tflite.Uint8Vector,
    }[kind]()
    made.Init(table.Bytes, table.Pos)
    return np.asarray(made.ValuesAsNumpy(), int)


def _place(indices: tuple[int, ...], order: Array, blocks: list[int], levels: list[Any], axes: int) -> tuple[int, ...]:
    place = [0] * axes
    for level, axis in enumerate(order.tolist()):
        if axis < axes:
            place[axis] += indices[level]
    for level, axis in enumerate(order.tolist()):
        if axis >= axes:
            of = blocks[axis - axes]
            place[of] = place[of] * levels[level].DenseSize() + indices[level]
    return tuple(place)
