"""Distances between two images: L1, L2, PSNR and SSIM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from pipelines.weights.normalization import Normalization
from toolkit.photos.types import Image

MEASURES = ("l1", "l2", "psnr", "ssim")
_MIN_SQUARED = 1e-10  # of a mean squared difference: keeps the PSNR of identical images finite


def compare_images(generated: Tensor, target: Tensor, normalization: Normalization) -> Tensor:
    """Compare images pair by pair.

    Args:
        generated: (B, 3, S, S) normalized, S at least 16.
        target: likewise.
        normalization: how levels from 0 to 255 became these numbers.

    Returns:
        (4, B): L1 and L2 of the normalized images, PSNR (dB, at most 100) and SSIM of images in [0, 1].

    Source: SSIM is Wang et al., IEEE TIP 2004, as torchmetrics computes it: Gaussian window of sigma 1.5 px.
    """
    difference = generated - target
    one, other = (
        ((images * normalization.scale + normalization.mean) / 255).clamp(0, 1) for images in (generated, target)
    )
    squared = (one - other).square().mean(dim=(1, 2, 3)).clamp_min(_MIN_SQUARED)
    ssim: Any = structural_similarity_index_measure(one, other, data_range=1.0, reduction="none")
    l1, l2 = difference.abs().mean(dim=(1, 2, 3)), difference.square().mean(dim=(1, 2, 3))
    # torchmetrics returns a scalar for a single pair
    return torch.stack([l1, l2, -10 * squared.log10(), ssim.reshape(-1)])


@torch.inference_mode()
def compare_faces(faces: Sequence[Image], targets: Sequence[Image], device: str) -> list[list[float]]:
    """Compare images pair by pair, normalized to [-1, 1].

    Args:
        faces: (S, S, 3) RGB each, S at least 16.
        targets: likewise.
        device: of the comparison.

    Returns:
        :data:`MEASURES` of each face.
    """
    if not faces:
        return []
    levels = Normalization()
    one, other = (
        (torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() - levels.mean) / levels.scale
        for images in (faces, targets)
    )
    measures: list[list[float]] = compare_images(one, other, levels).T.tolist()
    return measures
