import io
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from pipelines.train.data.augment import (
    COLUMNS,
    Augment,
    AugmentParams,
    apply_augment,
    draw_params,
    no_augment,
    uniform_rows,
)
from pipelines.train.data.jpeg import simulate_jpeg
from toolkit.errors import ConfigError

SIZE = 96


@pytest.fixture(scope="module")
def images(portrait: NDArray[np.uint8]) -> Tensor:
    """(3, 4, 3, 100, 100): input, target and second input of four pairs."""
    places = [portrait[30 + 9 * place : 130 + 9 * place, 170:270] for place in range(12)]
    return torch.from_numpy(np.stack(places)).permute(0, 3, 1, 2).reshape(3, 4, 3, 100, 100)


def drawn(**options: object) -> AugmentParams:
    augment = Augment(load_size=100, **options)  # type: ignore[arg-type]
    return draw_params(augment, uniform_rows(7, 40, 4), SIZE)


def test_rows_of_random_numbers_depend_on_their_place_alone() -> None:
    table = uniform_rows(3, 0, 50)
    assert table.shape == (50, COLUMNS)
    np.testing.assert_array_equal(uniform_rows(3, 17, 9), table[17:26])
    assert (uniform_rows(4, 0, 50) != table).all()
    assert 0 <= table.min() < 0.01 and 0.99 < table.max() < 1
    np.testing.assert_array_equal(uniform_rows(3, 10**9, 2)[1], uniform_rows(3, 10**9 + 1, 1)[0])


def test_what_is_drawn_fills_its_range() -> None:
    augment = Augment(load_size=100, flip=0.3, brightness=0.2, jpeg=0.5, jpeg_quality=(40, 43), blur=0.25)
    params = draw_params(augment, uniform_rows(0, 0, 4000), SIZE)
    assert set(params.corner_xy.ravel().tolist()) == {0, 1, 2, 3, 4}
    assert params.flipped.mean() == pytest.approx(0.3, abs=0.03)
    assert (params.brightness.min(), params.brightness.max()) == pytest.approx((0.8, 1.2), abs=1e-3)
    assert (params.contrast == 1).all() and (params.saturation == 1).all()
    assert set(params.quality.ravel().tolist()) == {0, 40, 41, 42, 43}
    assert (params.quality > 0).mean(1) == pytest.approx([0.5, 0.5], abs=0.03)
    assert (params.sigma > 0).mean(1) == pytest.approx([0.25, 0.25], abs=0.03)
    assert params.sigma[params.sigma > 0].min() > 0.5 and params.sigma.max() < 1.5
    assert (params.quality[0] != params.quality[1]).any()  # each input has its own


def test_without_options_nothing_changes(images: Tensor) -> None:
    for params in (draw_params(Augment(), uniform_rows(0, 0, 4), 100), no_augment(Augment(), 4, 100)):
        assert torch.equal(apply_augment(images, params, 100), images.float())


def test_evaluation_sees_the_middle(images: Tensor) -> None:
    seen = apply_augment(images, no_augment(Augment(load_size=100, flip=1, jpeg=1, blur=1), 4, SIZE), SIZE)
    assert torch.equal(seen, images[..., 2:98, 2:98].float())


def test_input_target_and_second_are_cropped_and_flipped_alike(images: Tensor) -> None:
    params = drawn(flip=0.5)
    assert len(set(params.flipped.tolist())) == 2
    seen = apply_augment(images, params, SIZE)
    for pair, (x, y) in enumerate(params.corner_xy.tolist()):
        cut = images[:, pair, :, y : y + SIZE, x : x + SIZE].float()
        assert torch.equal(seen[:, pair], cut.flip(-1) if params.flipped[pair] else cut)


def test_colors_change_as_one_after_the_other_and_alike_for_input_and_target(images: Tensor) -> None:
    params = drawn(brightness=0.2, contrast=0.2, saturation=0.5)
    seen = apply_augment(images, params, SIZE)
    plain = apply_augment(images, drawn(), SIZE).double().permute(0, 1, 3, 4, 2)
    for pair in range(4):
        bright = plain[:, pair] * params.brightness[pair]
        contrasted = (bright - 127.5) * params.contrast[pair] + 127.5
        gray = (contrasted @ torch.tensor([0.299, 0.587, 0.114]).double())[..., None]
        expected = (contrasted * params.saturation[pair] + gray * (1 - params.saturation[pair])).clamp(0, 255)
        torch.testing.assert_close(seen[:, pair].permute(0, 2, 3, 1).double(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("options", [{"blur": 0.5}, {"jpeg": 0.5}])
def test_only_chosen_inputs_lose_quality_and_targets_never(images: Tensor, options: dict[str, float]) -> None:
    params, plain = drawn(**options), apply_augment(images, drawn(), SIZE)
    changed = (apply_augment(images, params, SIZE) != plain).flatten(2).any(2)
    chosen = torch.from_numpy((params.sigma > 0) | (params.quality > 0))
    assert 0 < chosen.sum() < chosen.numel()
    assert torch.equal(changed[0::2], chosen) and not changed[1].any()


def test_blur_is_gaussian(images: Tensor) -> None:
    params = drawn(blur=1, blur_sigma=(0.8, 2.0))
    seen, plain = apply_augment(images, params, SIZE), apply_augment(images, drawn(), SIZE)
    for pair in range(4):
        photo = Image.fromarray(plain[0, pair].byte().permute(1, 2, 0).numpy())
        # Pillow adds up three boxes: near a Gaussian, not one
        reference = np.asarray(photo.filter(ImageFilter.GaussianBlur(float(params.sigma[0, pair])))).astype(float)
        assert np.abs(seen[0, pair].permute(1, 2, 0).numpy() - reference)[6:-6, 6:-6].mean() < 1


@pytest.mark.parametrize("quality", [5, 30, 49, 50, 75, 95, 100])
@pytest.mark.parametrize("shape", [(96, 96), (100, 93)])
def test_compression_is_what_pillow_writes_and_reads(
    portrait: NDArray[np.uint8], quality: int, shape: tuple[int, int]
) -> None:
    face = portrait[60 : 60 + shape[0], 180 : 180 + shape[1]]
    buffer = io.BytesIO()
    Image.fromarray(face).save(buffer, "JPEG", quality=quality, subsampling=2)
    reference = np.asarray(Image.open(buffer)).astype(float)
    ours = simulate_jpeg(torch.from_numpy(face.copy()).permute(2, 0, 1)[None].float(), torch.tensor([quality]))
    apart = np.abs(ours[0].permute(1, 2, 0).numpy() - reference).mean()
    assert apart < 1.2
    assert apart < 0.6 * np.abs(reference - face).mean()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"flip": 1.5}, "flip=1.5: must be 0 to 1"),
        ({"load_size": 0}, "load_size=0: must be image_size or more"),
        ({"jpeg_quality": (90, 30)}, "two ascending numbers from 1 to 100"),
        ({"blur_sigma": (0.0, 1.0)}, "two ascending numbers above 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Augment(**options)
