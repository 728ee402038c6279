"""The encoder-decoder GAN of scaleway/frontalization: 128 x 128 images through a code of 512 numbers.

It is the simplest network for this task: without skip connections, everything that the output contains went through
the code.

Source: github.com/scaleway/frontalization, ``network.py``, layer for layer.
"""

from itertools import pairwise

from torch import Tensor, nn

IMAGE_SIZE = 128  # px; only images of this size give a 1 x 1 code
LEVEL_MEAN = LEVEL_SCALE = 128.0  # published normalization: (x - 128) / 128 of 8-bit levels


class EncoderDecoder(nn.Module):
    """Generate a frontal face from a face in any pose. 5,591,472 parameters."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inner, outer in pairwise([3, 16, 32, 64, 128, 256]):
            layers += [nn.Conv2d(inner, outer, 4, 2, 1), nn.BatchNorm2d(outer), nn.ReLU()]
        layers += [nn.Conv2d(256, 512, 4, 2, 1), nn.MaxPool2d(2)]
        self.encoder = nn.Sequential(*layers)

        layers = [nn.ConvTranspose2d(512, 256, 4, 1, 0, bias=False), nn.BatchNorm2d(256), nn.ReLU()]
        for inner, outer in pairwise([256, 128, 64, 32, 16]):
            layers += [nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU()]
        layers += [nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.decoder = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, 128, 128), normalized with (x - 128) / 128, to frontal faces of the same shape and range."""
        frontal: Tensor = self.decoder(self.encoder(image))
        return frontal


class Discriminator(nn.Module):
    """Discriminate real frontal faces (1) from generated ones (0)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inner, outer in pairwise([16, 32, 64, 128, 256, 512]):
            layers += [nn.Conv2d(inner, outer, 4, 2, 1), nn.BatchNorm2d(outer), nn.LeakyReLU(0.2)]
        layers += [nn.Conv2d(512, 1, 4, 2, 1, bias=False), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Map (B, 3, 128, 128) to (B,), the probability that each image is real."""
        probability: Tensor = self.layers(image)
        return probability.flatten()


def init_dcgan(module: nn.Module) -> None:
    """Initialize convolutions with N(0, 0.02) and batch norm with N(1, 0.02); for ``nn.Module.apply``.

    Source: Radford et al., DCGAN, ICLR 2016, section 4.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
