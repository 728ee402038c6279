"""The siamese network: one encoder for two photos, whose features fall apart into who it is and how it was taken.

Source: SYSTEMS.md, sections 2 and 3.
"""

from typing import NamedTuple

from torch import Tensor, nn

from models.casia_net import GRID, Decoder, Encoder, init_normal

IDENTITY, CONDITIONS = 240, 80  # channels
POSES, LIGHTS = 9, 20  # classes of Multi-PIE


class Seen(NamedTuple):
    """What the encoder sees in a photo."""

    identity: Tensor  # (B, 240, 6, 6)
    pose: Tensor  # (B, 9) logits
    light: Tensor  # (B, 20) logits


class SiameseGenerator(nn.Module):
    """Turn a face of any pose and light into a frontal one in standard light, from its identity features alone."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(IDENTITY + CONDITIONS)
        self.conditions = nn.Conv2d(CONDITIONS, POSES + LIGHTS, GRID)
        self.decoder = Decoder(IDENTITY)
        self.apply(init_normal)

    def see(self, image: Tensor) -> Seen:
        """(B, 3, 96, 96) in (-1, 1) -> its features."""
        features = self.encoder(image)
        logits = self.conditions(features[:, IDENTITY:]).flatten(1)
        return Seen(features[:, :IDENTITY], logits[:, :POSES], logits[:, POSES:])

    def draw(self, identity: Tensor) -> Tensor:
        """(B, 240, 6, 6) -> the frontal face, (B, 3, 96, 96) in (-1, 1)."""
        frontal: Tensor = self.decoder(identity)
        return frontal

    def forward(self, image: Tensor, second: Tensor | None = None) -> Tensor | tuple[Tensor, Seen, Seen]:
        """The frontal face; with a second photo also what the encoder sees in both, in one pass of the encoder each."""
        seen = self.see(image)
        if second is None:
            return self.draw(seen.identity)
        return self.draw(seen.identity), seen, self.see(second)


class SiameseDiscriminator(nn.Module):
    """Tell photos from made faces: the encoder's trunk, averaged, and one number."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Encoder()
        self.judge = nn.Linear(320, 1)
        self.apply(init_normal)

    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, 96, 96) -> (B,) the probability that each is a photo."""
        probability: Tensor = self.judge(self.trunk(image).mean(dim=(2, 3))).sigmoid()
        return probability.flatten()
