"""The mapping between 8-bit levels and a network's numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Normalization:
    """How 8-bit levels become a network's numbers: ``(level - mean) / scale``; stored with the weights."""

    mean: float = 127.5
    scale: float = 127.5


def to_images(images: Tensor, normalization: Normalization) -> list[np.ndarray[Any, Any]]:
    """Turn normalized images, (B, 3, S, S), into B arrays (S, S, 3), RGB uint8."""
    levels = (images.detach().float() * normalization.scale + normalization.mean).round().clamp(0, 255)
    return list(levels.byte().permute(0, 2, 3, 1).cpu().numpy())
