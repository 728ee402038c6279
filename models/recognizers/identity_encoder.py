"""An identity loss for generators: a small face embedding network, trained along with them on the same training set."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import (
    affine_grid,
    avg_pool2d,
    cross_entropy,
    grid_sample,
    interpolate,
    leaky_relu,
    normalize,
    pixel_unshuffle,
)

from models.refiner import Residual

IMAGE_SIZE = 64  # px: the network's working resolution, enough to identify people
EMBEDDING_SIZE = 128
LOGIT_SCALE = 16.0  # inverse temperature of InfoNCE: factor of the cosines
# Standard deviations of the random warp: radians, and scale as a share; shift and bend in half image sides.
WARP_ROTATION_SCALE, WARP_SHIFT, WARP_BEND = 0.08, 0.08, 0.03


class IdentityEncoder(nn.Module):
    """Map faces to unit vectors, which lie close together for images of the same person."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 192)
        self.stem = nn.Conv2d(3 * 4, widths[0], 3, 1, 1)  # after pixel_unshuffle of 2 x 2 pixels
        self.steps = nn.ModuleList(
            nn.Sequential(Residual(inner), nn.GroupNorm(8, inner), nn.Conv2d(inner, outer, 4, 2, 1))
            for inner, outer in pairwise(widths)
        )
        self.embed = nn.Linear(widths[-1] * 4 * 4, EMBEDDING_SIZE)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, S, S) in [-1, 1], S a multiple of 64, to (B, 128) of length one."""
        inner = self.stem(pixel_unshuffle(avg_pool2d(image, image.shape[-1] // IMAGE_SIZE), 2))
        for step in self.steps:
            inner = step(leaky_relu(inner, 0.2))
        return normalize(self.embed(leaky_relu(inner, 0.2).flatten(1)).float())


def info_nce(targets: Tensor, views: Tensor, identity: Tensor) -> Tensor:
    """Return the symmetric InfoNCE loss, a scalar: each view has to match its own target among the batch's, and back.

    Args:
        targets: (B, D) embeddings of length one.
        views: (B, D) embeddings of the views that belong to them.
        identity: (B,) int64; pairs of the same identity are no negatives of each other.

    Source: the contrastive loss of SimCLR and CLIP (Chen et al., ICML 2020; Radford et al., ICML 2021).
    """
    own = torch.arange(len(identity), device=identity.device)
    same = (identity[:, None] == identity) & (own[:, None] != own)
    logits = (LOGIT_SCALE * targets @ views.T).masked_fill(same, -torch.inf)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def random_warp(image: Tensor) -> Tensor:
    """Shift, rotate, scale and bend each image at random, a little.

    Without it the embedding of matched views and targets compares pixel positions instead of identities, and the
    generator learns to move pixels.

    Args:
        image: (B, 3, S, S).

    Returns:
        (B, 3, S, S) float32.
    """
    count, device = len(image), image.device
    angle, growth = (WARP_ROTATION_SCALE * torch.randn(count, device=device) for _ in range(2))
    cos, sin = (1 + growth) * angle.cos(), (1 + growth) * angle.sin()
    shift = WARP_SHIFT * torch.randn(2, count, device=device)
    matrix = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1).view(count, 2, 3)
    bend = interpolate(WARP_BEND * torch.randn(count, 2, 5, 5, device=device), image.shape[-2:], mode="bicubic")
    grid = affine_grid(matrix, list(image.shape), False) + bend.permute(0, 2, 3, 1)
    return grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def random_recolor(image: Tensor) -> Tensor:
    """Change contrast, tint and brightness of each image at random, so that colors do not identify a person.

    Args:
        image: (B, 3, S, S) in [-1, 1].

    Returns:
        (B, 3, S, S) in [-1, 1]; three in ten are gray.
    """
    count = len(image)

    def draw(channels: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, channels, 1, 1, device=image.device)

    recolored = image * draw(1, 0.6, 1.4) * draw(3, 0.85, 1.15) + draw(1, -0.6, 0.6)
    return torch.where(draw(1, 0, 1) < 0.3, recolored.mean(dim=1, keepdim=True), recolored).clamp(-1, 1)
