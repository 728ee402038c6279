"""The siamese network: one encoder for two photos, whose features are split into identity, pose and light.

Source: CASIA-Net as DR-GAN uses it (Tran et al., CVPR 2017), as encoder and decoder. Of its 320 feature channels, 240
are the identity, which alone reaches the decoder; a 6 x 6 convolution maps the other 80 to 9 pose and 20 light logits.
"""

from typing import NamedTuple

from torch import Tensor, nn

from models.casia_net import FEATURE_SIZE, Decoder, Encoder, init_normal

IDENTITY_CHANNELS, CONDITION_CHANNELS = 240, 80
POSES, LIGHTS = 9, 20  # classes of Multi-PIE


class EncoderOutput(NamedTuple):
    """The features of a batch of photos."""

    identity: Tensor  # (B, 240, 6, 6)
    pose: Tensor  # (B, 9) logits
    light: Tensor  # (B, 20) logits


class SiameseGenerator(nn.Module):
    """Generate a frontal face in standard light from the identity features of a face in any pose and light."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder(IDENTITY_CHANNELS + CONDITION_CHANNELS)
        self.conditions = nn.Conv2d(CONDITION_CHANNELS, POSES + LIGHTS, FEATURE_SIZE)
        self.decoder = Decoder(IDENTITY_CHANNELS)
        self.apply(init_normal)

    def encode(self, image: Tensor) -> EncoderOutput:
        """Map (B, 3, 96, 96) in (-1, 1) to features."""
        features = self.encoder(image)
        logits = self.conditions(features[:, IDENTITY_CHANNELS:]).flatten(1)
        return EncoderOutput(features[:, :IDENTITY_CHANNELS], logits[:, :POSES], logits[:, POSES:])

    def decode(self, identity: Tensor) -> Tensor:
        """Map (B, 240, 6, 6) to frontal faces, (B, 3, 96, 96) in (-1, 1)."""
        frontal: Tensor = self.decoder(identity)
        return frontal

    def forward(
        self, image: Tensor, second: Tensor | None = None
    ) -> Tensor | tuple[Tensor, EncoderOutput, EncoderOutput]:
        """Return the frontal faces; with second photos also the features of both, from one encoder pass each."""
        features = self.encode(image)
        if second is None:
            return self.decode(features.identity)
        return self.decode(features.identity), features, self.encode(second)


class SiameseDiscriminator(nn.Module):
    """Discriminate real images from generated ones: the encoder, averaged over pixels, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Encoder()
        self.head = nn.Linear(320, 1)
        self.apply(init_normal)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, 96, 96) to (B,), the probability that each image is real."""
        probability: Tensor = self.head(self.trunk(image).mean(dim=(2, 3))).sigmoid()
        return probability.flatten()
