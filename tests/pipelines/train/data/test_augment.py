import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from torch import Tensor

from pipelines.train.data.augment import COLUMNS, Augment, Changes, augmented, draw_changes, no_changes, uniform_rows
from pipelines.train.data.jpeg import compressed
from toolkit.errors import ConfigError

SIZE = 96


@pytest.fixture(scope="module")
def images(portrait: NDArray[np.uint8]) -> Tensor:
    """(3, 4, 3, 100, 100): input, target and second input of four pairs."""
    places = [portrait[30 + 9 * place : 130 + 9 * place, 170:270] for place in range(12)]
    return torch.from_numpy(np.stack(places)).permute(0, 3, 1, 2).reshape(3, 4, 3, 100, 100)


def drawn(**options: object) -> Changes:
    augment = Augment(load_size=100, **options)  # type: ignore[arg-type]
    return draw_changes(augment, uniform_rows(7, 40, 4), SIZE)


def test_rows_of_random_numbers_depend_on_their_place_alone() -> None:
    table = uniform_rows(3, 0, 50)
    assert table.shape == (50, COLUMNS)
    np.testing.assert_array_equal(uniform_rows(3, 17, 9), table[17:26])
    assert (uniform_rows(4, 0, 50) != table).all()
    assert 0 <= table.min() < 0.01 and 0.99 < table.max() < 1
    np.testing.assert_array_equal(uniform_rows(3, 10**9, 2)[1], uniform_rows(3, 10**9 + 1, 1)[0])


def test_what_is_drawn_fills_its_range() -> None:
    augment = Augment(load_size=100, mirror=0.3, brightness=0.2, jpeg=0.5, jpeg_quality=(40, 43), blur=0.25)
    changes = draw_changes(augment, uniform_rows(0, 0, 4000), SIZE)
    assert set(changes.corner_xy.ravel().tolist()) == {0, 1, 2, 3, 4}
    assert changes.mirrored.mean() == pytest.approx(0.3, abs=0.03)
    assert (changes.brightness.min(), changes.brightness.max()) == pytest.approx((0.8, 1.2), abs=1e-3)
    assert (changes.contrast == 1).all() and (changes.saturation == 1).all()
    assert set(changes.quality.ravel().tolist()) == {0, 40, 41, 42, 43}
    assert (changes.quality > 0).mean(1) == pytest.approx([0.5, 0.5], abs=0.03)
    assert (changes.sigma > 0).mean(1) == pytest.approx([0.25, 0.25], abs=0.03)
    assert changes.sigma[changes.sigma > 0].min() > 0.5 and changes.sigma.max() < 1.5
    assert (changes.quality[0] != changes.quality[1]).any()  # each input has its own


def test_without_options_nothing_changes(images: Tensor) -> None:
    for changes in (draw_changes(Augment(), uniform_rows(0, 0, 4), 100), no_changes(Augment(), 4, 100)):
        assert torch.equal(augmented(images, changes, 100), images.float())


def test_evaluation_sees_the_middle(images: Tensor) -> None:
    seen = augmented(images, no_changes(Augment(load_size=100, mirror=1, jpeg=1, blur=1), 4, SIZE), SIZE)
    assert torch.equal(seen, images[..., 2:98, 2:98].float())


def test_input_target_and_second_move_and_mirror_together(images: Tensor) -> None:
    changes = drawn(mirror=0.5)
    assert len(set(changes.mirrored.tolist())) == 2
    seen = augmented(images, changes, SIZE)
    for pair, (x, y) in enumerate(changes.corner_xy.tolist()):
        cut = images[:, pair, :, y : y + SIZE, x : x + SIZE].float()
        assert torch.equal(seen[:, pair], cut.flip(-1) if changes.mirrored[pair] else cut)


def test_colours_change_as_one_after_the_other_and_alike_for_input_and_target(images: Tensor) -> None:
    changes = drawn(brightness=0.2, contrast=0.2, saturation=0.5)
    seen = augmented(images, changes, SIZE)
    plain = augmented(images, drawn(), SIZE).double().permute(0, 1, 3, 4, 2)
    for pair in range(4):
        bright = plain[:, pair] * changes.brightness[pair]
        contrasted = (bright - 127.5) * changes.contrast[pair] + 127.5
        grey = (contrasted @ torch.tensor([0.299, 0.587, 0.114]).double())[..., None]
        expected = (contrasted * changes.saturation[pair] + grey * (1 - changes.saturation[pair])).clamp(0, 255)
        torch.testing.assert_close(seen[:, pair].permute(0, 2, 3, 1).double(), expected, rtol=0, atol=0.01)


@pytest.mark.parametrize("options", [{"blur": 0.5}, {"jpeg": 0.5}])
def test_only_chosen_inputs_lose_quality_and_targets_never(images: Tensor, options: dict[str, float]) -> None:
    changes, plain = drawn(**options), augmented(images, drawn(), SIZE)
    changed = (augmented(images, changes, SIZE) != plain).flatten(2).any(2)
    chosen = torch.from_numpy((changes.sigma > 0) | (changes.quality > 0))
    assert 0 < chosen.sum() < chosen.numel()
    assert torch.equal(changed[0::2], chosen) and not changed[1].any()


def test_blur_is_gaussian(images: Tensor) -> None:
    changes = drawn(blur=1, blur_sigma=(0.8, 2.0))
    seen, plain = augmented(images, changes, SIZE), augmented(images, drawn(), SIZE)
    for pair in range(4):
        photo = Image.fromarray(plain[0, pair].byte().permute(1, 2, 0).numpy())
        # Pillow adds up three boxes: near a Gaussian, not one
        reference = np.asarray(photo.filter(ImageFilter.GaussianBlur(float(changes.sigma[0, pair])))).astype(float)
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
    ours = compressed(torch.from_numpy(face.copy()).permute(2, 0, 1)[None].float(), torch.tensor([quality]))
    apart = np.abs(ours[0].permute(1, 2, 0).numpy() - reference).mean()
    assert apart < 1.2
    assert apart < 0.6 * np.abs(reference - face).mean()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"mirror": 1.5}, "mirror=1.5: must be 0 to 1"),
        ({"jpeg_quality": (90, 30)}, "two ascending numbers from 1 to 100"),
        ({"blur_sigma": (0.0, 1.0)}, "two ascending numbers above 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Augment(**options)  # type: ignore[arg-type]
