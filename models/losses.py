"""Losses that several recipes use. All compute in float32, whatever precision the networks run in."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pairwise_distance


def bce_to(probability: Tensor, label: int) -> Tensor:
    """Return the mean binary cross-entropy of probabilities, (B,), to one label for all: 1 or 0."""
    with torch.autocast(probability.device.type, enabled=False):
        correct = probability.float() if label else 1 - probability.float()
        # As torch's binary_cross_entropy, which aborts the process on a GPU if a probability is NaN.
        # Probabilities of 0, those of a saturated sigmoid, have no part in the gradient: log's is infinite there.
        zero = correct == 0
        logarithm = torch.where(zero, 1.0, correct).log().clamp_min(-100)
        return -torch.where(zero, -100.0, logarithm).mean()


def l1(generated: Tensor, target: Tensor) -> Tensor:
    """Return the mean absolute difference over all pixels and channels."""
    return (generated.float() - target.float()).abs().mean()


def l2(generated: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared difference over all pixels and channels."""
    return (generated.float() - target.float()).square().mean()


def contrastive(first: Tensor, second: Tensor, same: Tensor, margin: float = 2.0) -> Tensor:
    """Return the contrastive loss: pairs of the same class are pulled together, others pushed a margin apart.

    Args:
        first: (B, ...) features.
        second: (B, ...) features of the partners.
        same: (B,) bool, whether both are of the same class.
        margin: Euclidean distance from which pairs of different classes add no loss.

    Source: Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006.
    """
    distance = pairwise_distance(first.float().flatten(1), second.float().flatten(1))
    shortfall = (margin - distance).clamp_min(0)
    return torch.where(same, distance.square(), shortfall.square()).mean()


def masked_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the mean cross-entropy of (B, C) logits to (B,) classes, without the unknown ones, which are -1."""
    if not (known := classes >= 0).any():
        return logits.float().sum() * 0
    return cross_entropy(logits[known].float(), classes[known])
