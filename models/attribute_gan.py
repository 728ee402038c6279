"""The attribute-conditioned DCGAN: faces from a list of binary attributes, 64 x 64 or 128 x 128.

Source: DCGAN (Radford et al., ICLR 2016) on CelebA's 40 attributes (Liu et al., ICCV 2015), as a published Keras
program has it. That program's discriminator does not see the attributes of an image, so its generator can ignore them;
:class:`AttributeDiscriminator` takes them as an option.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

START_SIZE = 8  # px: side of the generator's first features
CHANNELS = 64  # of the published discriminator's first layer; all other channel counts are multiples of it
WIDTHS = {64: (8, 8, 4, 2), 128: (16, 16, 8, 4, 2)}  # image size -> the generator's multiples, from coarse to fine
MOMENTUM = 0.2  # of batch norm in PyTorch's definition; Keras calls the same value 0.8

# For the first and the second of two copies of a pixel: which of the five kernel weights in a row or column fall on
# copies of the previous pixel, of this pixel and of the next one.
_KERNEL_SUMS = (
    ((1, 1, 0, 0, 0), (0, 0, 1, 1, 0), (0, 0, 0, 0, 1)),
    ((1, 0, 0, 0, 0), (0, 1, 1, 0, 0), (0, 0, 0, 1, 1)),
)


class UpsampleConv(nn.Conv2d):
    """Nearest-neighbor upsampling by 2 and a 5 x 5 convolution, fused into 9/25 of the multiplications.

    After upsampling, many of the 25 pixels under the kernel are copies of each other: only 3 x 3 are distinct. So a
    3 x 3 kernel of summed weights, one for each of the four copies of a pixel, gives the same result.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, 2 H, 2 W)."""
        sums = torch.tensor(_KERNEL_SUMS, dtype=self.weight.dtype, device=self.weight.device)
        kernels = torch.einsum("pay,qbx,oiyx->opqiab", sums, sums, self.weight).reshape(-1, self.in_channels, 3, 3)
        biases = None if self.bias is None else self.bias.repeat_interleave(4)
        return nn.functional.pixel_shuffle(nn.functional.conv2d(features, kernels, biases, padding=1), 2)


class AttributeGenerator(nn.Module):
    """Generate faces with given attributes.

    Args:
        attributes: number of attributes.
        image_size: 64 or 128, px.
        channels: base channel count; fewer than the published 64 make a narrower network.
    """

    takes_photo = False  # it generates faces from attributes alone

    def __init__(self, attributes: int = 40, image_size: int = 64, channels: int = CHANNELS) -> None:
        super().__init__()
        widths = [channels * multiple for multiple in WIDTHS[image_size]]
        self.attributes, self._width = attributes, widths[0]
        self.start = nn.Sequential(nn.Linear(attributes + 1, START_SIZE * START_SIZE * widths[0]), nn.ReLU())
        layers: list[nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [UpsampleConv(inner, outer, 5), nn.BatchNorm2d(outer, momentum=MOMENTUM), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 3, 5, 1, 2), nn.Tanh())

    def forward(self, attributes: Tensor, noise: Tensor | None = None) -> Tensor:
        """Generate faces.

        Args:
            attributes: (B, A), 0 or 1.
            noise: (B, 1) in [0, 1); None draws it.

        Returns:
            (B, 3, S, S) in (-1, 1).
        """
        if noise is None:
            noise = torch.rand(len(attributes), 1, device=attributes.device)
        features = self.start(torch.cat([attributes, noise.to(attributes.dtype)], dim=1))
        image: Tensor = self.layers(features.view(-1, self._width, START_SIZE, START_SIZE))
        return image


class AttributeDiscriminator(nn.Module):
    """Discriminate real images (0) from generated ones (1).

    With attributes it is a projection discriminator (Miyato and Koyama, ICLR 2018): their embedding times the image's
    features is added to the logit.

    Args:
        attributes: number of attributes it is conditioned on; 0, as published, for none.
        image_size: 64 or 128, px.
        channels: of the first layer.
    """

    def __init__(self, attributes: int = 0, image_size: int = 64, channels: int = CHANNELS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths, strides = (3, channels, 2 * channels, 4 * channels, 8 * channels), (2, 2, 2, 1)
        for (inner, outer), stride in zip(pairwise(widths), strides, strict=True):
            # A 4 x 4 kernel at stride 1 needs three pixels of padding in all; Keras puts the odd one right and below.
            pad = nn.ZeroPad2d((1, 2, 1, 2)) if stride == 1 else nn.ZeroPad2d(1)
            layers += [pad, nn.Conv2d(inner, outer, 4, stride), nn.LeakyReLU(0.2), nn.Dropout(0.25)]
        self.trunk = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1] * (image_size // 8) ** 2, 1)
        self.traits = nn.Linear(attributes, widths[-1], bias=False) if attributes else None  # likewise

    def forward(self, image: Tensor, attributes: Tensor | None = None) -> Tensor:
        """Map (B, 3, S, S) in (-1, 1) and (B, A) to (B,), the probability that each image is generated."""
        features = self.trunk(image)
        logit = self.head(features.flatten(1)).flatten()
        if self.traits is not None and attributes is not None:
            logit = logit + (self.traits(2 * attributes - 1) * features.mean(dim=(2, 3))).sum(dim=1)
        probability: Tensor = logit.sigmoid()
        return probability
