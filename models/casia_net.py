"""The convolutional trunk that the siamese and multitask systems share, down and up: 96 px <-> 6 x 6.

Source: SYSTEMS.md, sections 2 to 4; the trunk is CASIA-Net as DR-GAN uses it (Tran et al., CVPR 2017, table 1).
Strides of two pad on the right and below alone, as TensorFlow does and the published code copies.
"""

from itertools import pairwise

from torch import Tensor, nn

IMAGE_SIZE = 96  # px; the features are 6 x 6 at this size alone
GRID = 6
_DOWN = ((3, 32, 64), (64, 64, 64, 128), (128, 128, 96, 192), (192, 192, 128, 256))
_UP = ((256, 256, 128, 192), (192, 192, 96, 128), (128, 128, 64, 64), (64, 64, 32))


class Encoder(nn.Sequential):
    """(B, 3, 96, 96) -> (B, features, 6, 6): fourteen 3 x 3 convolutions, each with batch norm and ELU."""

    def __init__(self, features: int = 320) -> None:
        layers: list[nn.Module] = []
        for number, widths in enumerate((*_DOWN, (256, 256, 160, features))):
            for place, (inner, outer) in enumerate(pairwise(widths)):
                halves = number > 0 and place == 0
                if halves:
                    layers.append(nn.ZeroPad2d((0, 1, 0, 1)))
                layers.append(nn.Conv2d(inner, outer, 3, 2 if halves else 1, 0 if halves else 1, bias=False))
                layers += [nn.BatchNorm2d(outer), nn.ELU()]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """(B, features, 6, 6) -> (B, 3, 96, 96) in (-1, 1): the encoder's mirror image in transposed convolutions."""

    def __init__(self, features: int = 320) -> None:
        layers: list[nn.Module] = []
        for number, widths in enumerate(((features, 160, 256), *_UP)):
            for place, (inner, outer) in enumerate(pairwise(widths)):
                doubles = number > 0 and place == 0
                layers.append(nn.ConvTranspose2d(inner, outer, 3, 2 if doubles else 1, 0 if doubles else 1, bias=False))
                layers += [nn.BatchNorm2d(outer), nn.ELU()]
                if doubles:
                    layers.append(_WithoutLast())
        super().__init__(*layers, nn.ConvTranspose2d(32, 3, 3, 1, 1, bias=False), nn.Tanh())


class _WithoutLast(nn.Module):
    """Cut the row and the column that a stride of two adds."""

    def forward(self, features: Tensor) -> Tensor:
        return features[:, :, :-1, :-1]


def init_normal(module: nn.Module) -> None:
    """Draw starting weights N(0, 0.02) for convolutions and linear layers; for ``nn.Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
