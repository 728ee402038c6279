"""How 8-bit levels become network inputs, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Normalization:
    """How 8-bit levels become network numbers: ``(x - mean) / scale``; stored with the weights."""

    mean: float = 127.5
    scale: float = 127.5


def to_images(images: Tensor, normalization: Normalization) -> list[np.ndarray[Any, Any]]:
    """Network numbers, (B, 3, S, S), back to (S, S, 3) RGB uint8 each."""
    levels = (images.detach().float() * normalization.scale + normalization.mean).round().clamp(0, 255)
    return list(levels.byte().permute(0, 2, 3, 1).cpu().numpy())
