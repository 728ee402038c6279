"""The published networks: parameter counts, computed from their layers as published, and output shapes."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from models.attribute_gan import AttributeDiscriminator, AttributeGenerator
from models.casia_net import Decoder, Encoder
from models.multitask import MultitaskDiscriminator, MultitaskGenerator
from models.siamese import SiameseDiscriminator, SiameseGenerator


def count_weights(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def count_chain(chain: list[int], kernel: int, bias: bool = False) -> int:
    """Return the weights of a chain of convolutions, each with a batch norm of two per channel, or with a bias."""
    pairs = list(pairwise(chain))
    return sum(inner * outer * kernel**2 + outer * (1 if bias else 2) for inner, outer in pairs)


DOWN = [3, 32, 64, 64, 64, 128, 128, 96, 192, 192, 128, 256, 256, 160]
UP = [160, 256, 256, 128, 192, 192, 96, 128, 128, 64, 64, 64, 32]


def test_encoder_and_decoder_have_the_published_layers() -> None:
    for features in (320, 321):
        assert count_weights(Encoder(features)) == count_chain([*DOWN, features], 3)
        assert count_weights(Decoder(features)) == count_chain([features, *UP], 3) + 32 * 3 * 9
    steps = [layer.stride[0] for layer in Encoder() if isinstance(layer, nn.Conv2d)]
    assert steps == [1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1]
    assert sum(isinstance(layer, nn.ELU) for layer in Encoder()) == 14


@pytest.mark.slow
def test_the_siamese_networks_are_the_published_ones() -> None:
    generator, discriminator = SiameseGenerator(), SiameseDiscriminator()
    heads = 80 * 29 * 36 + 29
    assert count_weights(generator) == count_weights(Encoder(320)) + heads + count_weights(Decoder(240)) == 5_691_677
    assert count_weights(discriminator) == count_weights(Encoder(320)) + 321 == 2_862_305
    image = torch.rand(2, 3, 96, 96) * 2 - 1
    frontal, first, second = generator(image, image.flip(3))
    assert frontal.shape == (2, 3, 96, 96)
    assert frontal.abs().max() <= 1
    assert first.identity.shape == (2, 240, 6, 6)
    assert first.pose.shape == second.pose.shape == (2, 9)
    assert first.light.shape == (2, 20)
    assert ((discriminator(image) > 0) & (discriminator(image) < 1)).all()


def test_the_frontal_face_depends_on_the_identity_features_only() -> None:
    generator, image = SiameseGenerator().eval(), torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(generator(image), generator.decode(generator.encode(image).identity))
    assert generator.decoder[0].in_channels == 240


@pytest.mark.slow
def test_the_multitask_networks_are_the_published_ones() -> None:
    generator, discriminator = MultitaskGenerator(), MultitaskDiscriminator()
    mix = (321 + 100 + 9 + 20 + 1) * 320 * 36
    assert count_weights(generator) == count_weights(Encoder(321)) + mix + count_weights(Decoder(320)) == 10_920_290
    assert count_weights(discriminator) == count_weights(Encoder(321)) + 322 * (200 + 9 + 20 + 1) == 2_937_486
    image = torch.rand(2, 3, 96, 96) * 2 - 1
    generated = generator(image, torch.tensor([0, 8]), torch.tensor([3, 19]), torch.rand(2, 100))
    assert generated.shape == image.shape
    output = discriminator(generated)
    assert (output.identity.shape, output.pose.shape, output.light.shape) == ((2, 200), (2, 9), (2, 20))
    generator.eval()
    torch.testing.assert_close(generator(image), generator(image))
    assert not torch.equal(generator(image), generator(image, torch.tensor([0, 0])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "start", "chain"), [(64, 512, [512, 512, 256, 128]), (128, 1024, [1024, 1024, 512, 256, 128])]
)
def test_the_attribute_networks_are_the_published_ones(size: int, start: int, chain: list[int]) -> None:
    generator = AttributeGenerator(40, size)
    dense = 42 * 64 * start
    blocks = count_chain(chain, 5) + sum(chain[1:])  # a bias besides the batch norm
    assert count_weights(generator) == dense + blocks + (128 * 3 * 25 + 3)
    discriminator = AttributeDiscriminator(0, size)
    assert (
        count_weights(discriminator) == count_chain([3, 64, 128, 256, 512], 4, bias=True) + 512 * (size // 8) ** 2 + 1
    )
    attributes = torch.tensor([[1.0, 0.0] * 20] * 2)
    face = generator(attributes, torch.zeros(2, 1))
    assert face.shape == (2, 3, size, size)
    assert discriminator(face).shape == (2,)


def test_a_conditional_discriminator_depends_on_the_attributes() -> None:
    discriminator = AttributeDiscriminator(3).eval()
    face = torch.rand(1, 3, 64, 64)
    assert discriminator(face, torch.tensor([[1.0, 0, 0]])) != discriminator(face, torch.tensor([[0.0, 0, 0]]))
    unconditional = AttributeDiscriminator(0).eval()
    assert unconditional(face, torch.tensor([[1.0, 0, 0]])) == unconditional(face)
