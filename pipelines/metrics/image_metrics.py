"""How near two images are, in the four numbers that the field reports."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from pipelines.weights.normalization import Normalization

MEASURES = ("l1", "l2", "psnr", "ssim")
_FLOOR = 1e-10  # of a mean squared difference: identical images have no finite PSNR


def compare_images(made: Tensor, target: Tensor, constants: Normalization) -> Tensor:
    """Compare images one by one.

    Args:
        made: (B, 3, S, S) network numbers, S at least 16.
        target: likewise.
        constants: how levels became those numbers; by default levels from 0 to 255 are numbers from -1 to 1.

    Returns:
        (4, B): L1 and L2 of the network numbers, PSNR (dB, at most 100) and SSIM of images in [0, 1].

    Source of SSIM: Wang et al., IEEE TIP 2004, as torchmetrics has it: Gaussian window of sigma 1.5 px.
    """
    off = made - target
    one, other = (((images * constants.scale + constants.mean) / 255).clamp(0, 1) for images in (made, target))
    squared = (one - other).square().mean(dim=(1, 2, 3)).clamp_min(_FLOOR)
    alike: Any = structural_similarity_index_measure(one, other, data_range=1.0, reduction="none")
    l1, l2 = off.abs().mean(dim=(1, 2, 3)), off.square().mean(dim=(1, 2, 3))
    # of a single image torchmetrics gives a single number
    return torch.stack([l1, l2, -10 * squared.log10(), alike.reshape(-1)])
