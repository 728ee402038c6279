"""A small recogniser of faces, for a loss: trained beside a generator, on the people of the training set alone."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, leaky_relu, normalize, one_hot, pixel_unshuffle

from models.refiner import Residual

IMAGE_SIZE = 64  # px, at which it looks: enough to tell people apart
EMBEDDING = 128
SCALE, MARGIN = 24.0, 0.2  # of the cosines


class Recognizer(nn.Module):
    """Faces as unit vectors, near each other for one person.

    Trained as a classifier whose logits are cosines, the true one lowered by a margin. Source: CosFace (Wang et
    al., CVPR 2018).

    Args:
        people: how many it is taught to tell apart.
    """

    def __init__(self, people: int) -> None:
        super().__init__()
        widths = (32, 64, 128, 192)
        self.stem = nn.Conv2d(3 * 4, widths[0], 3, 1, 1)  # each 2 x 2 pixels become one
        self.steps = nn.ModuleList(
            nn.Sequential(Residual(inner), nn.GroupNorm(8, inner), nn.Conv2d(inner, outer, 4, 2, 1))
            for inner, outer in pairwise(widths)
        )
        self.embed = nn.Linear(widths[-1] * 4 * 4, EMBEDDING)
        self.people = nn.Parameter(torch.randn(people, EMBEDDING))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Look at faces.

        Args:
            image: (B, 3, S, S) in [-1, 1], S a multiple of 64.

        Returns:
            (B, 128) of length one; (B, P) cosines to the people, where the classifier keeps each of them.
        """
        inner = self.stem(pixel_unshuffle(avg_pool2d(image, image.shape[-1] // IMAGE_SIZE), 2))
        for step in self.steps:
            inner = step(leaky_relu(inner, 0.2))
        faces = normalize(self.embed(leaky_relu(inner, 0.2).flatten(1)).float())
        return faces, faces @ normalize(self.people.float()).T


def misnamed(cosines: Tensor, person: Tensor) -> Tensor:
    """How badly cosines (B, P) name people, (B,) int64: a scalar."""
    return cross_entropy(SCALE * (cosines - MARGIN * one_hot(person, cosines.shape[1])), person)
