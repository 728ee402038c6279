"""The refiner: what it changes in a view, at which resolution, and its confidence."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from models.refiner import CORRECTION_SHARE, PROFILE_LIGHT_SHARE, PatchDiscriminator, Refiner


@pytest.fixture
def net() -> Refiner:
    """A refiner with drawn weights that shifts and paints."""
    torch.manual_seed(0)
    net = Refiner()
    nn.init.normal_(net.shift.weight, std=0.1)
    nn.init.normal_(net.paint.weight, std=0.1)
    return net


def views(count: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return noise as views, their visibility, and the views without mirroring."""
    view, unmirrored = (torch.rand(count, 3, size, size) - 0.5 for _ in range(2))
    return view, torch.rand(count, 1, size, size), unmirrored


def test_an_untrained_refiner_changes_nothing_but_uses_some_of_the_photo_s_own_pixels() -> None:
    view, visibility, unmirrored = views(2, 256)
    refined = Refiner().eval()(view, visibility, view)
    torch.testing.assert_close(refined.image, view, atol=1e-4, rtol=0)
    assert refined.correction.abs().max() == 0
    mixed = Refiner().train()(view, visibility, unmirrored).image
    share = ((mixed - view) / (unmirrored - view))[(unmirrored - view).abs() > 0.1]
    assert 0.1 < share.median() < 0.13


def test_the_photo_s_own_pixels_are_used_where_the_photo_shows_them() -> None:
    net = Refiner()
    assert net.own_share.bias is not None
    nn.init.constant_(net.own_share.bias, 50.0)
    view, _, unmirrored = views(1, 128)
    refined = net.eval()(view, visibility_of(0.8, 0.0), unmirrored).image
    torch.testing.assert_close(refined[..., :63], unmirrored[..., :63], atol=1e-4, rtol=0)
    torch.testing.assert_close(refined[..., 65:], view[..., 65:], atol=1e-4, rtol=0)


def test_pixels_are_painted_whether_the_photo_shows_them_or_not() -> None:
    net = Refiner()
    assert net.paint.bias is not None
    nn.init.constant_(net.paint.bias, 50.0)  # white everywhere
    view = torch.zeros(1, 3, 128, 128)
    for visible in (0.0, 1.0):
        assert net.train()(view, torch.full((1, 1, 128, 128), visible), view).image.min() == 1


def visibility_of(left: float, right: float) -> Tensor:
    """Return the visibility of a face, (1, 1, 128, 128), the same everywhere on each half."""
    return torch.tensor([left, right]).repeat_interleave(64).expand(1, 1, 128, 128)


@pytest.mark.parametrize(
    ("left", "right", "share"),
    [(0.8, 0.25, CORRECTION_SHARE), (0.25, 0.8, CORRECTION_SHARE), (0.0, 0.0, 0.0), (0.7, 0.6, 0.0)],
    ids=["turned", "turned the other way", "beside the head", "frontal"],
)
def test_outside_of_training_a_share_of_the_correction_is_applied(
    net: Refiner, left: float, right: float, share: float
) -> None:
    view, visibility = views(1, 128)[0], visibility_of(left, right)
    in_training, otherwise = net.train()(view, visibility, view), net.eval()(view, visibility, view)
    assert in_training.correction.abs().mean() > 0.01
    torch.testing.assert_close(otherwise.correction, share * in_training.correction)
    torch.testing.assert_close(otherwise.confidence, in_training.confidence)


def test_a_profile_keeps_more_of_the_photo_s_light(net: Refiner) -> None:
    """Low frequencies of the correction are reduced there, high ones are not."""
    view, profile = views(1, 128)[0], visibility_of(0.8, 0.05)
    in_training, otherwise = (net.train(mode)(view, profile, view).correction for mode in (True, False))
    steps, kept = (correction.diff(dim=3).abs().mean() for correction in (in_training, otherwise))
    torch.testing.assert_close(kept, CORRECTION_SHARE * steps, rtol=0.01, atol=0)

    nn.init.zeros_(net.paint.weight)
    nn.init.constant_(net.paint.bias, 50.0)  # type: ignore[arg-type]
    everywhere_the_same = 2 * CORRECTION_SHARE * PROFILE_LIGHT_SHARE
    torch.testing.assert_close(net(view, profile, view).correction, torch.full_like(view, everywhere_the_same))


def test_a_face_that_looks_at_the_camera_stays_as_it_is(net: Refiner) -> None:
    view, _, unmirrored = views(1, 128)
    refined = net.eval()(view, visibility_of(0.7, 0.6), unmirrored)
    torch.testing.assert_close(refined.image, view, atol=1e-5, rtol=0)


def test_a_larger_view_keeps_its_own_resolution(net: Refiner) -> None:
    """Shift and correction are those of the view at 128 px, enlarged; the pixels are the view's own."""
    nn.init.zeros_(net.shift.weight)
    view = views(1, 256)[0]
    visibility = interpolate(visibility_of(0.8, 0.1), (256, 256))
    refined = net.eval()(view, visibility, view)
    torch.testing.assert_close(refined.image, (view + refined.correction).clamp(-1, 1), atol=1e-4, rtol=0)
    small = [interpolate(part, (128, 128), mode="bilinear", antialias=True) for part in (view, visibility, view)]
    expected = interpolate(net(*small).correction, (256, 256), mode="bilinear", antialias=True)
    assert expected.abs().mean() > 0.01
    torch.testing.assert_close(refined.correction, expected, atol=1e-5, rtol=0)


def test_the_confidence_is_one_number_of_each_view(net: Refiner) -> None:
    nn.init.normal_(net.confidence.weight, std=30.0)
    confidence = net.eval()(*views(5, 128)).confidence
    assert confidence.shape == (5,)
    assert 0 <= confidence.min() < confidence.max() <= 1


def test_the_confidence_changes_no_gradient_of_the_other_layers(net: Refiner) -> None:
    pixels, gradients = views(2, 128), []
    for weight in (0.0, 1.0):
        net.zero_grad()
        refined = net(*pixels)
        (refined.image.square().mean() + weight * refined.confidence.sum()).backward()
        gradients.append({name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None})
    for name, gradient in gradients[0].items():
        if name.startswith("confidence."):
            assert gradient.abs().max() == 0 < gradients[1][name].abs().max()
        else:
            torch.testing.assert_close(gradient, gradients[1][name])
    assert len(gradients[0]) == len(list(net.parameters()))


def test_the_patch_discriminator_has_two_scales() -> None:
    logits, features = PatchDiscriminator()(torch.zeros(2, 3, 128, 128))
    assert [patch.shape for patch in logits] == [(2, 1, 16, 16), (2, 1, 8, 8)]
    assert len(features) == 6
