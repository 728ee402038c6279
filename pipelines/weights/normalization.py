"""The mapping between 8-bit levels and a network's numbers, for tensors and for arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolkit.photos.types import Image

if TYPE_CHECKING:  # torch is not part of the light install
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Normalization:
    """How 8-bit levels become a network's numbers: ``(level - mean) / scale``; stored with the weights."""

    mean: float = 127.5
    scale: float = 127.5


def to_images(images: "Tensor", normalization: Normalization) -> list[np.ndarray[Any, Any]]:
    """Turn normalized images, (B, 3, S, S), into B arrays (S, S, 3), RGB uint8."""
    levels = (images.detach().float() * normalization.scale + normalization.mean).round().clamp(0, 255)
    return list(levels.byte().permute(0, 2, 3, 1).cpu().numpy())


def normalize(images: NDArray[np.uint8], normalization: Normalization) -> NDArray[np.float32]:
    """Normalize images, (B, S, S, 3) RGB, as an array (B, 3, S, S)."""
    levels = images.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    levels -= np.float32(normalization.mean)
    levels /= np.float32(normalization.scale)
    return levels


def denormalize(images: NDArray[np.float32], normalization: Normalization) -> list[Image]:
    """Do for arrays what :func:`to_images` does for tensors."""
    levels = images * np.float32(normalization.scale)
    levels += np.float32(normalization.mean)
    np.rint(levels, out=levels).clip(0, 255, out=levels)
    return list(np.ascontiguousarray(levels.transpose(0, 2, 3, 1), np.uint8))
