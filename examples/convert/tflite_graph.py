"""A TFLite network as nodes of ONNX, in NCHW, for any batch size: the operations that MediaPipe's networks have."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tflite
from flatbuffers import flexbuffers
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from examples.convert.attention import require, transform_from_landmarks, transform_landmarks, transform_tensor
from examples.convert.tflite_weights import read_weights

Array = NDArray[Any]
NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if isinstance(value, int)}
TO_NCHW, TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]


class Graph:
    """Nodes and constants of a network under construction."""

    def __init__(self, input_hw: tuple[int, int]) -> None:
        self.input, self.input_hw = "input", input_hw
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        self.arrays: dict[str, Array] = {}  # the constants by name, as they are used
        self.attention_points: list[list[int]] = []  # points of the mesh by which each part of the face is cropped
        self._outputs: list[str] = []
        self._count = 0

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output; return that output's name."""
        name = output or self._new_name(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: float | Sequence[int] | Array) -> str:
        """Add a constant: floats as float32, lists as int64, arrays as they are; float16 is widened on use."""
        if isinstance(value, float | int):
            value = np.array(value, np.float32)
        array = np.asarray(value, np.int64) if isinstance(value, list) else np.asarray(value)
        name = self._new_name("constant")
        self.initializers.append(numpy_helper.from_array(array, name))
        used = name
        if array.dtype == np.float16:
            used = self._new_name("cast")
            self.nodes.insert(0, helper.make_node("Cast", [name], [used], to=TensorProto.FLOAT))
        self.arrays[used] = array
        return used

    def set_outputs(self, names: list[str]) -> None:
        """Say which values are the network's outputs."""
        self._outputs = names

    def named_outputs(self) -> list[str]:
        """Return the names of the outputs, in the order of the TFLite file."""
        return self._outputs

    def _new_name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"


def translate(data: bytes) -> Graph:
    """Translate a TFLite file."""
    model = tflite.Model.GetRootAsModel(data, 0)
    return _Translation(model).run()


class _Translation:
    """One pass over the operations of a network."""

    def __init__(self, model: Any) -> None:
        self._model, self._tflite = model, model.Subgraphs(0)
        _, height, width, _ = self._shape(int(self._tflite.InputsAsNumpy()[0]))
        self._graph = Graph((height, width))
        self._weights: dict[int, Array] = read_weights(model)
        self._values: dict[int, str] = {int(self._tflite.InputsAsNumpy()[0]): self._graph.input}
        self._padding: dict[int, list[int]] = {}  # of values whose padding is left to the convolution that takes them
        self._flat: set[int] = set()  # tensors that are in TFLite's own order of axes, not in NCHW

    def run(self) -> Graph:
        """Translate all operations."""
        for place in range(self._tflite.OperatorsLength()):
            operation = self._tflite.Operators(place)
            inputs, outputs = (
                [int(one) for one in ids()] for ids in (operation.InputsAsNumpy, operation.OutputsAsNumpy)
            )
            if outputs[0] in self._weights:  # DEQUANTIZE and DENSIFY of weights
                continue
            made = getattr(self, f"_{self._name(operation).lower()}")(operation, inputs, outputs[0])
            self._values[outputs[0]] = made
        outputs = [int(one) for one in self._tflite.OutputsAsNumpy()]
        self._graph.set_outputs([self._values[one] for one in outputs])
        return self._graph

    def _name(self, operation: Any) -> str:
        code = self._model.OperatorCodes(operation.OpcodeIndex())
        name = NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        return str(code.CustomCode().decode()) if name == "CUSTOM" else str(name)

    def _shape(self, tensor: int) -> list[int]:
        return [int(one) for one in self._tflite.Tensors(tensor).ShapeAsNumpy()]

    def _options(self, operation: Any, kind: str) -> Any:
        options = getattr(tflite, kind)()
        table = operation.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        return options

    def _value(self, tensor: int) -> str:
        """Return the name of an activation, or of a constant in NCHW that broadcasts against one."""
        if tensor not in self._values:
            weights = self._weights[tensor]
            if weights.ndim == 4:
                weights = weights.transpose(TO_NCHW)
            if weights.shape == (1, 4, 4):  # multiplies a matrix, of which attention.py has two rows
                weights = weights[:, :2]
            self._values[tensor] = self._graph.constant(weights)
        return self._values[tensor]

    def _activated(self, value: str, options: Any) -> str:
        kind = options.FusedActivationFunction()
        if kind == tflite.ActivationFunctionType.NONE:
            return value
        if kind == tflite.ActivationFunctionType.RELU:
            return self._graph.add("Relu", value)
        require(kind == tflite.ActivationFunctionType.RELU6, f"activation {kind}")
        return self._graph.add("Clip", value, self._graph.constant(0.0), self._graph.constant(6.0))

    def _conv_2d(self, operation: Any, inputs: list[int], output: int) -> str:
        options = self._options(operation, "Conv2DOptions")
        return self._convolution(options, inputs, output, self._weights[inputs[1]].transpose(0, 3, 1, 2), 1)

    def _depthwise_conv_2d(self, operation: Any, inputs: list[int], output: int) -> str:
        options = self._options(operation, "DepthwiseConv2DOptions")
        weights = self._weights[inputs[1]].transpose(3, 0, 1, 2)
        return self._convolution(options, inputs, output, weights, len(weights))

    def _convolution(self, options: Any, inputs: list[int], output: int, weights: Array, group: int) -> str:
        strides = [options.StrideH(), options.StrideW()]
        made = self._graph.add(
            "Conv",
            self._value(inputs[0]),
            self._graph.constant(weights),
            self._graph.constant(self._weights[inputs[2]]),
            strides=strides,
            pads=self._pads(options, inputs[0], output, list(weights.shape[2:]), strides),
            group=group,
        )
        return self._activated(made, options)

    def _pads(self, options: Any, source: int, output: int, kernel: list[int], strides: list[int]) -> list[int]:
        """Return ONNX's padding; TFLite's SAME pads the odd pixel on the right and below."""
        if options.Padding() == tflite.Padding.VALID:
            return self._padding.get(source, [0, 0, 0, 0])
        sizes, outputs = self._shape(source)[1:3], self._shape(output)[1:3]
        totals = [
            max((after - 1) * stride + side - before, 0)
            for before, after, side, stride in zip(sizes, outputs, kernel, strides, strict=True)
        ]
        return [*(total // 2 for total in totals), *(total - total // 2 for total in totals)]

    def _max_pool_2d(self, operation: Any, inputs: list[int], output: int) -> str:
        options = self._options(operation, "Pool2DOptions")
        kernel, strides = [options.FilterHeight(), options.FilterWidth()], [options.StrideH(), options.StrideW()]
        pads = self._pads(options, inputs[0], output, kernel, strides)
        return self._graph.add("MaxPool", self._value(inputs[0]), kernel_shape=kernel, strides=strides, pads=pads)

    def _convolution2dtransposebias(self, operation: Any, inputs: list[int], output: int) -> str:
        weights, bias = self._weights[inputs[1]].transpose(3, 0, 1, 2), self._weights[inputs[2]]
        side = weights.shape[2]  # the stride is as wide as the kernel, so outputs do not overlap
        require(self._shape(output)[1] == side * self._shape(inputs[0])[1], "transposed convolution that overlaps")
        constants = self._graph.constant(weights), self._graph.constant(bias)
        return self._graph.add("ConvTranspose", self._value(inputs[0]), *constants, strides=[side, side])

    def _pad(self, operation: Any, inputs: list[int], output: int) -> str:
        pads = self._weights[inputs[1]][TO_NCHW].T  # before and after, of each axis
        if not pads[:, :2].any():
            require(self._is_for_convolutions(output), "padding of the image that no convolution can do")
            self._padding[output] = pads[:, 2:].reshape(-1).tolist()
            return self._value(inputs[0])
        require(not pads[:, 2:].any(), "padding of image and channels")
        return self._graph.add("Pad", self._value(inputs[0]), self._graph.constant(pads.reshape(-1).tolist()))

    def _is_for_convolutions(self, tensor: int) -> bool:
        kinds = {
            self._name(self._tflite.Operators(place))
            for place in range(self._tflite.OperatorsLength())
            if tensor in self._tflite.Operators(place).InputsAsNumpy()
        }
        return kinds <= {"CONV_2D", "DEPTHWISE_CONV_2D"}

    def _add(self, operation: Any, inputs: list[int], output: int) -> str:
        made = self._graph.add("Add", *map(self._value, inputs))
        return self._activated(made, self._options(operation, "AddOptions"))

    def _mul(self, operation: Any, inputs: list[int], output: int) -> str:
        made = self._graph.add("Mul", *map(self._value, inputs))
        return self._activated(made, self._options(operation, "MulOptions"))

    def _relu(self, operation: Any, inputs: list[int], output: int) -> str:
        return self._graph.add("Relu", self._value(inputs[0]))

    def _prelu(self, operation: Any, inputs: list[int], output: int) -> str:
        """PReLU(x) = a x + (1 - a) ReLU(x), as depthwise convolutions: twice as fast in ONNX Runtime as its PRelu.

        PRelu has no kernel for the blocked layout in which ONNX Runtime convolves, and costs two conversions each.
        """
        value, slope = self._value(inputs[0]), self._weights[inputs[1]].reshape(-1, 1, 1, 1)
        positive = (1 - slope.astype(np.float32)).astype(np.float32)
        graph, group = self._graph, len(slope)
        linear = graph.add("Conv", value, graph.constant(slope), group=group)
        return graph.add(
            "Add", linear, graph.add("Conv", graph.add("Relu", value), graph.constant(positive), group=group)
        )

    def _hard_swish(self, operation: Any, inputs: list[int], output: int) -> str:
        return self._graph.add("HardSwish", self._value(inputs[0]))

    def _logistic(self, operation: Any, inputs: list[int], output: int) -> str:
        return self._graph.add("Sigmoid", self._value(inputs[0]))

    def _mean(self, operation: Any, inputs: list[int], output: int) -> str:
        require(sorted(self._weights[inputs[1]].tolist()) == [1, 2], "mean over other axes")
        return self._graph.add("GlobalAveragePool", self._value(inputs[0]))

    def _resize_bilinear(self, operation: Any, inputs: list[int], output: int) -> str:
        options = self._options(operation, "ResizeBilinearOptions")
        mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
        if options.AlignCorners():
            mode = "align_corners"
        scales = [after / before for before, after in zip(self._shape(inputs[0]), self._shape(output), strict=True)]
        return self._graph.add(
            "Resize",
            self._value(inputs[0]),
            "",
            self._graph.constant(np.array(scales, np.float32)[TO_NCHW]),
            mode="linear",
            coordinate_transformation_mode=mode,
        )

    def _depth_to_space(self, operation: Any, inputs: list[int], output: int) -> str:
        block = self._options(operation, "DepthToSpaceOptions").BlockSize()
        return self._graph.add("DepthToSpace", self._value(inputs[0]), blocksize=block, mode="DCR")

    def _concatenation(self, operation: Any, inputs: list[int], output: int) -> str:
        require(all(one in self._flat for one in inputs), "concatenation of feature maps")
        self._flat.add(output)
        axis = self._options(operation, "ConcatenationOptions").Axis()
        return self._graph.add("Concat", *map(self._value, inputs), axis=axis)

    def _reshape(self, operation: Any, inputs: list[int], output: int) -> str:
        value = self._value(inputs[0])
        if inputs[0] not in self._flat and len(self._shape(inputs[0])) == 4:
            value = self._graph.add("Transpose", value, perm=TO_NHWC)
        self._flat.add(output)
        return self._graph.add("Reshape", value, self._graph.constant([-1, *self._shape(output)[1:]]))

    def _strided_slice(self, operation: Any, inputs: list[int], output: int) -> str:
        require(self._shape(inputs[0]) == self._shape(output), "slice")  # the only one there is copies
        return self._value(inputs[0])

    def _landmarks2transformmatrix(self, operation: Any, inputs: list[int], output: int) -> str:
        options = flexbuffers.Loads(bytearray(operation.CustomOptionsAsNumpy().tobytes()))
        self._graph.attention_points.append(options["subset_idxs"])
        return transform_from_landmarks(self._graph, self._value(inputs[0]), options)

    def _transformtensorbilinear(self, operation: Any, inputs: list[int], output: int) -> str:
        side, (_, height, width, _) = self._shape(output)[1], self._shape(inputs[0])
        features, matrix = map(self._value, inputs)
        return transform_tensor(self._graph, features, matrix, side, (height, width))

    def _transformlandmarks(self, operation: Any, inputs: list[int], output: int) -> str:
        self._flat.add(output)
        return transform_landmarks(self._graph, *map(self._value, inputs))
