"""Losses that more than one recipe uses. All are computed in float32, whatever the networks run in."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pairwise_distance


def should_be(probability: Tensor, truth: int) -> Tensor:
    """Mean binary cross-entropy of probabilities, (B,), against one truth for all: 1 real, 0 made."""
    with torch.autocast(probability.device.type, enabled=False):
        right = probability.float() if truth else 1 - probability.float()
        # As torch's binary_cross_entropy, which stops the whole process on a GPU where a probability is NaN.
        return -right.log().clamp_min(-100).mean()


def l1(made: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference over all pixels and channels."""
    return (made.float() - target.float()).abs().mean()


def l2(made: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference over all pixels and channels."""
    return (made.float() - target.float()).square().mean()


def contrastive(one: Tensor, other: Tensor, same: Tensor, margin: float = 2.0) -> Tensor:
    """Pull features of like things together, push those of unlike things a margin apart.

    Args:
        one: (B, ...) features.
        other: (B, ...) those of the partners.
        same: (B,) bool.
        margin: Euclidean distance at which unlike things are left alone.

    Source: Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006.
    """
    distance = pairwise_distance(one.float().flatten(1), other.float().flatten(1))
    apart = (margin - distance).clamp_min(0)
    return torch.where(same, distance.square(), apart.square()).mean()


def names(logits: Tensor, classes: Tensor) -> Tensor:
    """Mean cross-entropy of (B, C) logits against (B,) classes; those that are unknown (-1) do not count."""
    if not (known := classes >= 0).any():
        return logits.float().sum() * 0
    return cross_entropy(logits[known].float(), classes[known])
