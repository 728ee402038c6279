"""The built-in networks of :mod:`toolkit.networks.runtime`, run by torch on a GPU.

The results are those of ONNX Runtime within rounding: on photos of people, points of the mesh differ by less than
0.01 of the 192 pixels of its input, scores by less than 1e-5.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from models.onnx_network import Node, onnx_network
from toolkit.networks.runtime import WEIGHTS, Arrays, Network


class TorchNetwork:
    """A network from an ONNX file; see :class:`toolkit.networks.runtime.Network`.

    Args:
        path: the file.
        device: where it runs, ``cpu`` or ``cuda:i``.

    Raises:
        MemoryError: from a call, if the device has no memory for the batch.
    """

    def __init__(self, path: Path, device: str) -> None:
        self._device, self._module = torch.device(device), read_onnx(path).to(device)

    @torch.inference_mode()
    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        """See :class:`toolkit.networks.runtime.Network`.

        The batch is padded to a power of two: cuDNN plans a convolution anew for every size.
        """
        count = len(inputs[0])
        missing = (1 << (count - 1).bit_length()) - count
        try:
            batches = [torch.from_numpy(array).to(self._device) for array in inputs]
            padded = [nn.functional.pad(batch, [0] * (2 * batch.ndim - 1) + [missing]) for batch in batches]
            return [output[:count].cpu().numpy() for output in self._module(*padded)]
        except torch.OutOfMemoryError as error:
            raise MemoryError(str(error)) from error


def open_networks(device: str) -> dict[str, Network]:
    """Load all built-in networks, by name, on ``cpu`` or ``cuda:i``."""
    return {path.stem: TorchNetwork(path, device) for path in sorted(WEIGHTS.glob("*.onnx"))}


def read_onnx(path: Path) -> nn.Module:
    """Read a network's file as a module; see :func:`models.onnx_network.onnx_network`."""
    graph = onnx.load(path).graph
    constants = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer}
    nodes = [Node(node.op_type, list(node.input), node.output[0], _attributes(node)) for node in graph.node]
    inputs, outputs = ([value.name for value in values] for values in (graph.input, graph.output))
    return onnx_network(nodes, constants, inputs, outputs).eval()


@contextmanager
def full_precision() -> Iterator[None]:
    """Let this process compute in float32 for a while, without the 10-bit mantissas of TF32.

    With TF32, which torch allows in convolutions, points of the mesh would move by tenths of a pixel.
    """
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _attributes(node: Any) -> dict[str, Any]:
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
