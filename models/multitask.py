"""The multitask GAN: a generator that is told pose and light, and a discriminator that names them and the person.

Source: SYSTEMS.md, section 4.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from models.casia_net import GRID, Decoder, Encoder, init_normal

FEATURES, NOISE = 321, 100
POSES, LIGHTS, PEOPLE = 9, 20, 200  # classes of Multi-PIE and its training part
STANDARD = 7  # the light that is asked for where none is


class MultitaskGenerator(nn.Module):
    """Draw the person of a photo in any asked-for pose and light.

    Args:
        poses: how many there are.
        lights: how many there are.
    """

    def __init__(self, poses: int = POSES, lights: int = LIGHTS) -> None:
        super().__init__()
        self.poses, self.lights = poses, lights
        self.encoder = Encoder(FEATURES)
        self.mix = nn.Linear(FEATURES + NOISE + poses + lights, 320 * GRID * GRID)
        self.decoder = Decoder(320)
        self.apply(init_normal)

    def forward(
        self, image: Tensor, pose: Tensor | None = None, light: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Draw.

        Args:
            image: (B, 3, 96, 96) in (-1, 1).
            pose: (B,) classes; None: frontal, the middle one.
            light: (B,) classes; None: the standard one.
            noise: (B, 100) in (-1, 1); None: zeros, so that one photo has one answer.

        Returns:
            (B, 3, 96, 96) in (-1, 1).
        """
        count = image.shape[0]  # len() would fix the batch of a traced graph
        pose = torch.full((count,), self.poses // 2, device=image.device) if pose is None else pose
        light = torch.full((count,), min(STANDARD, self.lights - 1), device=image.device) if light is None else light
        noise = image.new_zeros(count, NOISE) if noise is None else noise
        person = self.encoder(image).mean(dim=(2, 3))
        asked = [one_hot(pose, self.poses).to(person.dtype), one_hot(light, self.lights).to(person.dtype)]
        mixed = self.mix(torch.cat([person, noise.to(person.dtype), *asked], dim=1))
        drawn: Tensor = self.decoder(mixed.view(count, 320, GRID, GRID))
        return drawn


class Verdict(NamedTuple):
    """What the discriminator says of images."""

    identity: Tensor  # (B, people) logits
    pose: Tensor  # (B, poses) logits
    light: Tensor  # (B, lights) logits
    real: Tensor  # (B,) probability


class MultitaskDiscriminator(nn.Module):
    """Name person, pose and light, and tell photos from made images.

    Args:
        people: how many there are in training.
        poses: likewise.
        lights: likewise.
    """

    def __init__(self, people: int = PEOPLE, poses: int = POSES, lights: int = LIGHTS) -> None:
        super().__init__()
        self.trunk = Encoder(FEATURES)
        self.identity, self.pose = nn.Linear(FEATURES, people), nn.Linear(FEATURES, poses)
        self.light, self.real = nn.Linear(FEATURES, lights), nn.Linear(FEATURES, 1)
        self.apply(init_normal)

    def forward(self, image: Tensor) -> Verdict:
        """(B, 3, 96, 96) in (-1, 1)."""
        features = self.trunk(image).mean(dim=(2, 3))
        real = self.real(features).sigmoid().flatten()
        return Verdict(self.identity(features), self.pose(features), self.light(features), real)
