"""A small recogniser of faces, for a loss: trained beside a generator, on the training set alone."""

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

IMAGE_SIZE = 64  # px, at which it looks: enough to tell people apart
EMBEDDING = 128
SCALE = 16.0  # of the cosines
LEANING, MOVED, BENT = 0.08, 0.08, 0.03  # how faces are displaced: radians and scale; all of it; and bends; half sides


class Recognizer(nn.Module):
    """Faces as unit vectors, near each other for pictures of one person."""

    def __init__(self) -> None:
        super().__init__()
        widths = (32, 64, 128, 192)
        self.stem = nn.Conv2d(3 * 4, widths[0], 3, 1, 1)  # each 2 x 2 pixels become one
        self.steps = nn.ModuleList(
            nn.Sequential(Residual(inner), nn.GroupNorm(8, inner), nn.Conv2d(inner, outer, 4, 2, 1))
            for inner, outer in pairwise(widths)
        )
        self.embed = nn.Linear(widths[-1] * 4 * 4, EMBEDDING)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, S, S) in [-1, 1], S a multiple of 64 -> (B, 128), of length one."""
        inner = self.stem(pixel_unshuffle(avg_pool2d(image, image.shape[-1] // IMAGE_SIZE), 2))
        for step in self.steps:
            inner = step(leaky_relu(inner, 0.2))
        return normalize(self.embed(leaky_relu(inner, 0.2).flatten(1)).float())


def mismatched(portraits: Tensor, views: Tensor, person: Tensor) -> Tensor:
    """How badly each view finds its portrait among the batch's, and each portrait its view: a scalar.

    Args:
        portraits: (B, D) of length one.
        views: (B, D), those that belong to them.
        person: (B,) int64 whose they are: other pictures of the same one count neither way.

    Source: the contrastive loss of SimCLR and CLIP (Chen et al., ICML 2020; Radford et al., ICML 2021).
    """
    own = torch.arange(len(person), device=person.device)
    same = (person[:, None] == person) & (own[:, None] != own)
    cosines = (SCALE * portraits @ views.T).masked_fill(same, -torch.inf)
    return (cross_entropy(cosines, own) + cross_entropy(cosines.T, own)) / 2


def displaced(image: Tensor) -> Tensor:
    """(B, 3, S, S), each moved, turned, scaled and bent a little: where things lie must not tell who it is.

    Without it a recogniser that matches views and their own portraits compares pixels, and a generator that it
    teaches is taught to move pixels.
    """
    count, device = len(image), image.device
    angle, growth = (LEANING * torch.randn(count, device=device) for _ in range(2))
    cos, sin = (1 + growth) * angle.cos(), (1 + growth) * angle.sin()
    move = MOVED * torch.randn(2, count, device=device)
    matrix = torch.stack([cos, -sin, move[0], sin, cos, move[1]], dim=1).view(count, 2, 3)
    bends = interpolate(BENT * torch.randn(count, 2, 5, 5, device=device), image.shape[-2:], mode="bicubic")
    places = affine_grid(matrix, list(image.shape), False) + bends.permute(0, 2, 3, 1)
    return grid_sample(image.float(), places, mode="bilinear", padding_mode="border", align_corners=False)


def recolored(image: Tensor) -> Tensor:
    """(B, 3, S, S) in [-1, 1], each in a light and a tint of its own: colours alone must not tell who it is."""
    count = len(image)

    def draw(channels: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, channels, 1, 1, device=image.device)

    tinted = image * draw(1, 0.6, 1.4) * draw(3, 0.85, 1.15) + draw(1, -0.6, 0.6)
    return torch.where(draw(1, 0, 1) < 0.3, tinted.mean(dim=1, keepdim=True), tinted).clamp(-1, 1)
