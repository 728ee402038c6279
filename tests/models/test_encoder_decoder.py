import torch

from models.encoder_decoder import Discriminator, EncoderDecoder, init_dcgan
from models.losses import bce_to, l1, l2


def test_the_generator_is_the_published_one() -> None:
    net = EncoderDecoder()
    assert sum(parameter.numel() for parameter in net.parameters()) == 5_591_472
    assert net.encoder(torch.zeros(2, 3, 128, 128)).shape == (2, 512, 1, 1)
    generated = net(torch.randn(2, 3, 128, 128))
    assert generated.shape == (2, 3, 128, 128)
    assert generated.abs().max() <= 1


def test_the_discriminator_gives_one_probability_per_image() -> None:
    net = Discriminator()
    # 3-16 with bias; five convolutions with bias and batch norm; 512-1 without
    expected = (
        784 + sum(a * b * 16 + b + 2 * b for a, b in [(16, 32), (32, 64), (64, 128), (128, 256), (256, 512)]) + 8192
    )
    assert sum(parameter.numel() for parameter in net.parameters()) == expected
    probability = net(torch.randn(4, 3, 128, 128))
    assert probability.shape == (4,)
    assert ((probability > 0) & (probability < 1)).all()


def test_weights_are_initialized_as_published() -> None:
    torch.manual_seed(0)
    net = EncoderDecoder().apply(init_dcgan)
    convolution, norm = net.get_parameter("encoder.15.weight"), net.get_parameter("encoder.13.weight")
    assert abs(convolution.std().item() - 0.02) < 1e-3
    assert abs(norm.mean().item() - 1) < 0.01
    assert net.get_parameter("encoder.13.bias").abs().max() == 0


def test_losses_are_true_means() -> None:
    generated, target = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)
    assert l1(generated, target).item() == 0.5
    assert l2(generated, target).item() == 0.25
    torch.testing.assert_close(bce_to(torch.tensor([0.5, 0.5]), 1), torch.tensor(0.5).log().neg())
    assert bce_to(torch.tensor([0.9]), 0) > bce_to(torch.tensor([0.9]), 1)
