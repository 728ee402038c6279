import torch

from models.encoder_decoder import Discriminator, EncoderDecoder, init_dcgan
from models.losses import l1, l2, should_be


def test_the_generator_is_the_published_one() -> None:
    net = EncoderDecoder()
    assert sum(parameter.numel() for parameter in net.parameters()) == 5_591_472
    assert net.encoder(torch.zeros(2, 3, 128, 128)).shape == (2, 512, 1, 1)
    made = net(torch.randn(2, 3, 128, 128))
    assert made.shape == (2, 3, 128, 128)
    assert made.abs().max() <= 1


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


def test_starting_weights_are_drawn_as_published() -> None:
    torch.manual_seed(0)
    net = EncoderDecoder().apply(init_dcgan)
    widest = net.encoder[15].weight
    assert abs(widest.std().item() - 0.02) < 1e-3
    assert abs(net.encoder[13].weight.mean().item() - 1) < 0.01
    assert net.encoder[13].bias.abs().max() == 0


def test_losses_are_true_means() -> None:
    made, target = torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)
    assert l1(made, target).item() == 0.5
    assert l2(made, target).item() == 0.25
    torch.testing.assert_close(should_be(torch.tensor([0.5, 0.5]), 1), torch.tensor(0.5).log().neg())
    assert should_be(torch.tensor([0.9]), 0) > should_be(torch.tensor([0.9]), 1)
