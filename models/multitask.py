"""The multitask GAN: a generator conditioned on pose and light, a discriminator that classifies both and the identity.

Source: DR-GAN (Tran et al., CVPR 2017), whose design it follows on Multi-PIE, with a one-hot light code beside the one
for pose.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from models.casia_net import FEATURE_SIZE, Decoder, Encoder, init_normal

FEATURES, NOISE_SIZE = 321, 100  # channels of the encoder's output; length of the noise vector
POSES, LIGHTS, IDENTITIES = 9, 20, 200  # classes of Multi-PIE; identities of its training part
STANDARD_LIGHT = 7  # class of the light that is generated where none is given


class MultitaskGenerator(nn.Module):
    """Generate the person of a photo in a given pose and light.

    Args:
        poses: number of pose classes.
        lights: number of light classes.
    """

    def __init__(self, poses: int = POSES, lights: int = LIGHTS) -> None:
        super().__init__()
        self.poses, self.lights = poses, lights
        self.encoder = Encoder(FEATURES)
        self.mix = nn.Linear(FEATURES + NOISE_SIZE + poses + lights, 320 * FEATURE_SIZE * FEATURE_SIZE)
        self.decoder = Decoder(320)
        self.apply(init_normal)

    def forward(
        self, image: Tensor, pose: Tensor | None = None, light: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        """Generate images.

        Args:
            image: (B, 3, 96, 96) in (-1, 1).
            pose: (B,) classes; None is frontal, the middle class.
            light: (B,) classes; None is the standard light.
            noise: (B, 100) in (-1, 1); None is zeros, which makes the output deterministic.

        Returns:
            (B, 3, 96, 96) in (-1, 1).
        """
        count = image.shape[0]  # len() would fix the batch size of a traced graph
        pose = torch.full((count,), self.poses // 2, device=image.device) if pose is None else pose
        standard = min(STANDARD_LIGHT, self.lights - 1)
        light = torch.full((count,), standard, device=image.device) if light is None else light
        noise = image.new_zeros(count, NOISE_SIZE) if noise is None else noise
        features = self.encoder(image).mean(dim=(2, 3))
        codes = [one_hot(pose, self.poses).to(features.dtype), one_hot(light, self.lights).to(features.dtype)]
        mixed = self.mix(torch.cat([features, noise.to(features.dtype), *codes], dim=1))
        generated: Tensor = self.decoder(mixed.view(count, 320, FEATURE_SIZE, FEATURE_SIZE))
        return generated


class DiscriminatorOutput(NamedTuple):
    """The four outputs of the discriminator for a batch."""

    identity: Tensor  # (B, identities) logits
    pose: Tensor  # (B, poses) logits
    light: Tensor  # (B, lights) logits
    real: Tensor  # (B,) probability that the image is real


class MultitaskDiscriminator(nn.Module):
    """Classify identity, pose and light, and discriminate real images from generated ones.

    Args:
        identities: number of people in the training set.
        poses: number of pose classes.
        lights: number of light classes.
    """

    def __init__(self, identities: int = IDENTITIES, poses: int = POSES, lights: int = LIGHTS) -> None:
        super().__init__()
        self.trunk = Encoder(FEATURES)
        self.identity, self.pose = nn.Linear(FEATURES, identities), nn.Linear(FEATURES, poses)
        self.light, self.real = nn.Linear(FEATURES, lights), nn.Linear(FEATURES, 1)
        self.apply(init_normal)

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        """Map (B, 3, 96, 96) in (-1, 1) to the four outputs."""
        features = self.trunk(image).mean(dim=(2, 3))
        real = self.real(features).sigmoid().flatten()
        return DiscriminatorOutput(self.identity(features), self.pose(features), self.light(features), real)
