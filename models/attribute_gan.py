"""The attribute-conditioned DCGAN: faces from a list of traits.

Source: SYSTEMS.md, section 5. As published its discriminator never sees which traits a photo has, so the
generator has no reason to heed them; :class:`AttributeDiscriminator` takes them too where it is told to.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

START = 8  # px: side of the generator's first features
CHANNELS = 64  # as published: of the discriminator's first layer; every other count is a multiple of it
WIDTHS = {64: (8, 8, 4, 2), 128: (16, 16, 8, 4, 2)}  # image size -> the generator's multiples, coarse to fine

# Which of five weights fall on the pixel before, the same pixel and the one after: for the first copy, the second.
_SUMS = (
    ((1, 1, 0, 0, 0), (0, 0, 1, 1, 0), (0, 0, 0, 0, 1)),
    ((1, 0, 0, 0, 0), (0, 1, 1, 0, 0), (0, 0, 0, 1, 1)),
)
MOMENTUM = 0.2  # of batch norm; the published 0.8 is Keras' way to say it


class DoubledConv(nn.Conv2d):
    """Double the size by repeating pixels, then a 5 x 5 convolution; the same numbers by 9/25 of the multiplications.

    Of the 25 pixels under the kernel many are copies of one: each of the four pixels that come from one
    sees 3 x 3 different ones, under weights that are sums of the kernel's.
    """

    def forward(self, features: Tensor) -> Tensor:
        """(B, inner, H, W) -> (B, outer, 2 H, 2 W)."""
        sums = torch.tensor(_SUMS, dtype=self.weight.dtype, device=self.weight.device)
        kernels = torch.einsum("pay,qbx,oiyx->opqiab", sums, sums, self.weight).reshape(-1, self.in_channels, 3, 3)
        biases = None if self.bias is None else self.bias.repeat_interleave(4)
        return nn.functional.pixel_shuffle(nn.functional.conv2d(features, kernels, biases, padding=1), 2)


class AttributeGenerator(nn.Module):
    """Draw a face with given traits.

    Args:
        attributes: how many traits there are.
        image_size: 64 or 128, px.
        channels: a smaller count makes a narrower network.
    """

    def __init__(self, attributes: int = 40, image_size: int = 64, channels: int = CHANNELS) -> None:
        super().__init__()
        widths = [channels * multiple for multiple in WIDTHS[image_size]]
        self.attributes, self._width = attributes, widths[0]
        self.start = nn.Sequential(nn.Linear(attributes + 1, START * START * widths[0]), nn.ReLU())
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [DoubledConv(inner, outer, 5), nn.BatchNorm2d(outer, momentum=MOMENTUM), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 3, 5, 1, 2), nn.Tanh())

    def forward(self, attributes: Tensor, chance: Tensor | None = None) -> Tensor:
        """Draw.

        Args:
            attributes: (B, A) zeros and ones.
            chance: (B, 1) in [0, 1); None draws it.

        Returns:
            (B, 3, S, S) in (-1, 1).
        """
        if chance is None:
            chance = torch.rand(len(attributes), 1, device=attributes.device)
        features = self.start(torch.cat([attributes, chance.to(attributes.dtype)], dim=1))
        face: Tensor = self.layers(features.view(-1, self._width, START, START))
        return face


class AttributeDiscriminator(nn.Module):
    """Tell photos (0) from made faces (1).

    Args:
        attributes: how many traits it is shown; 0, as published: none.
        image_size: 64 or 128, px.
        channels: of its first layer.
    """

    def __init__(self, attributes: int = 0, image_size: int = 64, channels: int = CHANNELS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths, strides = (3, channels, 2 * channels, 4 * channels, 8 * channels), (2, 2, 2, 1)
        for (inner, outer), stride in zip(pairwise(widths), strides, strict=True):
            # a 4 x 4 kernel at stride 1 needs three pixels of padding in all: Keras puts the odd one right and below
            pad = nn.ZeroPad2d((1, 2, 1, 2)) if stride == 1 else nn.ZeroPad2d(1)
            layers += [pad, nn.Conv2d(inner, outer, 4, stride), nn.LeakyReLU(0.2), nn.Dropout(0.25)]
        self.trunk = nn.Sequential(*layers)
        self.judge = nn.Linear(widths[-1] * (image_size // 8) ** 2, 1)
        self.traits = nn.Linear(attributes, widths[-1], bias=False) if attributes else None

    def forward(self, image: Tensor, attributes: Tensor | None = None) -> Tensor:
        """(B, 3, S, S) in (-1, 1), (B, A) -> (B,) the probability that each was made.

        How well image and traits go together is their projection on each other (Miyato and Koyama, ICLR 2018).
        """
        features = self.trunk(image)
        logit = self.judge(features.flatten(1)).flatten()
        if self.traits is not None and attributes is not None:
            logit = logit + (self.traits(2 * attributes - 1) * features.mean(dim=(2, 3))).sum(dim=1)
        probability: Tensor = logit.sigmoid()
        return probability
