"""Read the weights of dlib's face recognition network in the form of the npm package @vladmandic/face-api."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.recognizers.dlib_resnet import DlibResNet
from toolkit.errors import ConfigError

MANIFEST = "face_recognition_model-weights_manifest.json"


def load_dlib_resnet(folder: Path) -> DlibResNet:
    """Load the network.

    Args:
        folder: contains the manifest, :data:`MANIFEST`, and the file of tensors that it names.

    Raises:
        ConfigError: a file is missing or is not of this network.
    """
    try:
        tensors = iter(_read_tensors(folder))
        network = DlibResNet()
        for convolution in network.modules():
            if isinstance(convolution, nn.Conv2d):
                _set_convolution(convolution, tensors)
        network.embed.load_state_dict({"weight": next(tensors).T})
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, OverflowError, StopIteration) as error:
        raise ConfigError(f"recognizer {folder}: no {MANIFEST} of dlib's network with its tensors ({error})") from error
    return network.eval()


def _read_tensors(folder: Path) -> list[Tensor]:
    [group] = json.loads((folder / MANIFEST).read_text())
    data = b"".join((folder / Path(name).name).read_bytes() for name in group["paths"])
    tensors, start = [], 0
    for entry in group["weights"]:
        values, start = _decode(data, start, entry)
        tensors.append(torch.from_numpy(values))
    return tensors


def _decode(data: bytes, start: int, entry: dict[str, Any]) -> tuple[NDArray[np.float32], int]:
    """Return one array and where the next one starts; 8-bit values have a scale and a minimum."""
    number, coding = int(np.prod(entry["shape"])), entry.get("quantization")
    kind = np.dtype(np.uint8 if coding else np.float32)
    values = np.frombuffer(data, kind, number, start).astype(np.float32)
    if coding:
        values = values * np.float32(coding["scale"]) + np.float32(coding["min"])
    return values.reshape(entry["shape"]), start + number * kind.itemsize


def _set_convolution(convolution: nn.Conv2d, tensors: Iterator[Tensor]) -> None:
    """Set weight and bias from filters (height, width, in, out), bias, and the scale and offset that follow them."""
    filters, bias, scale, offset = (next(tensors) for _ in range(4))
    weight = (filters * scale).permute(3, 2, 0, 1).contiguous()
    convolution.load_state_dict({"weight": weight, "bias": bias * scale + offset})
