"""Compare an exported network in ONNX Runtime, on CUDA where that is possible, with torch on the device.

Called by report.py as a process of its own.
"""

import json
import sys
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from models.refiner import Refined
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.generator import weights_path
from pipelines.weights.torch_networks import full_precision

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
BOUND_CPU, BOUND_CUDA = 1e-4, 1e-3  # of normalized values: a hundredth and a tenth of an 8-bit level
BATCH = 4


def main() -> None:
    """Read WEIGHTS, FILE.onnx and the device; print one JSON document."""
    weights, file, device = sys.argv[1:]
    with full_precision():
        print(json.dumps(compare(weights_path(weights), Path(file), torch.device(device))))


@torch.inference_mode()
def compare(weights: Path, file: Path, device: torch.device) -> dict[str, Any]:
    """Return provider, device, difference and bound."""
    lacks = _lacks(device)
    # TF32, with its 10-bit mantissas, would hide a wrong result.
    provider: Any = CPU if lacks else (CUDA, {"use_tf32": "0", "device_id": str(device.index or 0)})
    session = onnxruntime.InferenceSession(str(file), providers=[provider])
    net, card = load_generator(weights, device)
    random, size = torch.Generator().manual_seed(0), card.image_size
    images = [2 * torch.rand(BATCH, 3, size, size, generator=random) - 1 for _ in session.get_inputs()]
    if len(images) > 1:  # the visibility of a turned face: others stay as they are
        images[1] = torch.rand(BATCH, 1, size, size, generator=random) * torch.linspace(0, 1, size)
    names = [each.name for each in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, (image.numpy() for image in images), strict=True)))
    output: Any = net(*(image.to(device) for image in images))
    face = output.image if isinstance(output, Refined) else output
    difference = float((torch.from_numpy(outputs[0]) - face.cpu()).abs().max())
    bound = BOUND_CPU if device.type == "cpu" else BOUND_CUDA
    used = session.get_providers()[0]
    if not lacks and used != CUDA:
        lacks = "ONNX Runtime's CUDA provider did not start"
    return {"provider": used, "device": str(device), "difference": difference, "bound": bound, "lacks": lacks}


def _lacks(device: torch.device) -> str:
    if device.type == "cpu":
        return "no NVIDIA GPU"
    if CUDA in onnxruntime.get_available_providers():
        return ""
    return "ONNX Runtime without CUDA (pip install onnxruntime-gpu in place of onnxruntime)"


if __name__ == "__main__":
    main()
