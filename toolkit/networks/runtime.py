"""Networks stored as ONNX files, run by ONNX Runtime on one core of the CPU.

Of the runtimes that take batches and install everywhere, ONNX Runtime loads fastest and runs MediaPipe's networks
fastest (docs/benchmarks.md). The result for an image is the same, bit by bit, in a batch of any size.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.model_files import require_model

WEIGHTS = Path(__file__).with_name("weights")
Arrays = list[NDArray[np.float32]]
OUT_OF_MEMORY = ("Failed to allocate", "bad_alloc", "bad allocation")  # in messages of ONNX Runtime


class Network(Protocol):
    """A network: one batch in, its outputs out."""

    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        """Run the network.

        Args:
            inputs: arrays whose first axis is the batch.

        Returns:
            The outputs in the order of the file, each with the batch as its first axis.
        """
        ...


class OnnxNetwork:
    """A network from an ONNX file, on one thread of the CPU: one process runs per core.

    Args:
        model: the file.
        what: the first words of an error message, as ``"detector "``.
        way_out: the last words of an error message: what to give instead.

    Raises:
        ConfigError: the file is missing, too large, or not an ONNX file that ONNX Runtime can run.
    """

    def __init__(self, model: Path, what: str = "network ", way_out: str = "install frontalize again") -> None:
        import onnxruntime

        require_model(model, what, way_out)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong with a file is in the exception, too
        try:
            self._session = onnxruntime.InferenceSession(
                model.read_bytes(), options, providers=["CPUExecutionProvider"], enable_fallback=0
            )  # its fallback would print, on stdout, and try the same again
        except Exception as error:  # ONNX Runtime's exceptions have no common class but this
            raise ConfigError(
                f"{what}{model}: not an ONNX file that ONNX Runtime can run ({error}); {way_out}"
            ) from error
        self._inputs = [one.name for one in self._session.get_inputs()]

    @property
    def input_shapes(self) -> list[list[int | str]]:
        """Shapes of the inputs; sizes that may vary are names."""
        return [list(one.shape) for one in self._session.get_inputs()]

    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        """See :class:`Network`.

        Raises:
            MemoryError: the process may not have the memory that the network takes.
            RuntimeError: anything else that ONNX Runtime reports, such as an input of another shape.
        """
        try:
            outputs: Sequence[Any] = self._session.run(None, dict(zip(self._inputs, inputs, strict=True)))
        except Exception as error:  # ONNX Runtime's exceptions have no common class but this
            kind = MemoryError if any(said in str(error) for said in OUT_OF_MEMORY) else RuntimeError
            raise kind(str(error)) from error
        return list(outputs)


def built_in(name: str) -> Network:
    """Return a built-in network, a file of toolkit/networks/weights, as ``built_in("face_mesh")``."""
    if name not in _built_in:
        _built_in[name] = _open(name)
    return _built_in[name]


def run_elsewhere(open_network: Callable[[str], Network]) -> None:
    """Let a process run its built-in networks elsewhere, on a GPU.

    Args:
        open_network: returns the network of a name. It is asked once for each, before its first use.
    """
    global _open
    _built_in.clear()
    _open = open_network


def _open_here(name: str) -> Network:
    return OnnxNetwork(WEIGHTS / f"{name}.onnx")


_built_in: dict[str, Network] = {}
_open: Callable[[str], Network] = _open_here
