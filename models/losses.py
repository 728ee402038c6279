"""Losses that more than one recipe uses. All are computed in float32, whatever the networks run in."""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy


def should_be(probability: Tensor, truth: float) -> Tensor:
    """Mean binary cross-entropy of probabilities, (B,), against one truth for all: 1 real, 0 made."""
    with torch.autocast(probability.device.type, enabled=False):
        return binary_cross_entropy(probability.float(), torch.full_like(probability, truth, dtype=torch.float32))


def l1(made: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference over all pixels and channels."""
    return (made.float() - target.float()).abs().mean()


def l2(made: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference over all pixels and channels."""
    return (made.float() - target.float()).square().mean()
