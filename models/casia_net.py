"""CASIA-Net as encoder, and its mirror image as decoder: 96 x 96 px to 6 x 6 features and back.

The siamese and the multitask networks share them. Source: DR-GAN's variant of CASIA-Net (Tran et al., CVPR 2017,
table 1). Convolutions with a stride of two pad on the right and below only, as in TensorFlow.
"""

from itertools import pairwise

from torch import Tensor, nn

IMAGE_SIZE = 96  # px; only images of this size give 6 x 6 features
FEATURE_SIZE = 6  # px
_ENCODER_WIDTHS = ((3, 32, 64), (64, 64, 64, 128), (128, 128, 96, 192), (192, 192, 128, 256))
_DECODER_WIDTHS = ((256, 256, 128, 192), (192, 192, 96, 128), (128, 128, 64, 64), (64, 64, 32))


class Encoder(nn.Sequential):
    """Fourteen 3 x 3 convolutions, each with batch norm and ELU: (B, 3, 96, 96) -> (B, features, 6, 6).

    Args:
        features: channels of the output.
    """

    def __init__(self, features: int = 320) -> None:
        layers: list[nn.Module] = []
        for stage, widths in enumerate((*_ENCODER_WIDTHS, (256, 256, 160, features))):
            for position, (inner, outer) in enumerate(pairwise(widths)):
                halves = stage > 0 and position == 0
                if halves:
                    layers.append(nn.ZeroPad2d((0, 1, 0, 1)))
                layers.append(nn.Conv2d(inner, outer, 3, 2 if halves else 1, 0 if halves else 1, bias=False))
                layers += [nn.BatchNorm2d(outer), nn.ELU()]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """The encoder mirrored, in transposed convolutions: (B, features, 6, 6) -> (B, 3, 96, 96) in (-1, 1).

    Args:
        features: channels of the input.
    """

    def __init__(self, features: int = 320) -> None:
        layers: list[nn.Module] = []
        for stage, widths in enumerate(((features, 160, 256), *_DECODER_WIDTHS)):
            for position, (inner, outer) in enumerate(pairwise(widths)):
                doubles = stage > 0 and position == 0
                layers.append(nn.ConvTranspose2d(inner, outer, 3, 2 if doubles else 1, 0 if doubles else 1, bias=False))
                layers += [nn.BatchNorm2d(outer), nn.ELU()]
                if doubles:
                    layers.append(_CropLast())
        super().__init__(*layers, nn.ConvTranspose2d(32, 3, 3, 1, 1, bias=False), nn.Tanh())


class _CropLast(nn.Module):
    """Crop the last row and column, which a transposed convolution with a stride of two adds."""

    def forward(self, features: Tensor) -> Tensor:
        return features[:, :, :-1, :-1]


def init_normal(module: nn.Module) -> None:
    """Initialize convolutions and linear layers with N(0, 0.02) weights and zero biases; for ``nn.Module.apply``."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
