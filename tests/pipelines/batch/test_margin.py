"""`batch --margin`: the same face, with more around it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.photo_jobs.views import FrontalViews, ViewOutput
from pipelines.runtime.plan import Job
from tests.conftest import Run, tree
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo, read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.ledger import read_ledger

MARGIN, SIDE, INNER = 0.3, 256, 160  # 160 (1 + 2 x 0.3) = 256
FEATHER = 0.12  # of INNER


def difference(one: Image, other: Image) -> NDArray[np.float64]:
    return np.asarray(np.abs(one.astype(float) - other).mean(axis=2))


@pytest.fixture(scope="module")
def outputs(portrait: Image) -> dict[float, ViewOutput]:
    """The view of a portrait by margin, the square inside of the same size."""
    data = encode_image(portrait, ".png")
    sides = {0.0: INNER, MARGIN: SIDE, 1.0: 3 * INNER}
    return {
        margin: FrontalViews(side, for_network=True, margin=margin)(Photo(data), Job("a.png", "a"))
        for margin, side in sides.items()
    }


def test_the_square_inside_is_the_view_without_a_margin(outputs: dict[float, ViewOutput]) -> None:
    plain = outputs[0.0]
    for margin, border in ((MARGIN, 48), (1.0, INNER)):
        wide = outputs[margin]
        assert wide.border == border
        assert wide.images[0].shape == (INNER + 2 * border, INNER + 2 * border, 3)
        for one, other in zip(wide.network_inputs, plain.network_inputs, strict=True):
            assert one.shape == other.shape
            assert np.abs(one.astype(int) - other).mean() < 1


def test_a_refined_face_fades_into_the_view_around_it(outputs: dict[float, ViewOutput]) -> None:
    wide = outputs[MARGIN]
    view = wide.images[0]
    refined = wide.with_refined(np.full((INNER, INNER, 3), 255, np.uint8))
    assert refined.shape == view.shape
    edge = slice(wide.border + int(FEATHER * INNER) + 1, -wide.border - int(FEATHER * INNER) - 1)
    assert (refined[edge, edge] == 255).all()
    around = np.ones(view.shape[:2], bool)
    around[wide.border : -wide.border, wide.border : -wide.border] = False
    np.testing.assert_array_equal(refined[around], view[around])
    assert difference(refined, view)[wide.border].max() < 5  # it begins without a step


def test_a_wide_margin_shows_the_photo_as_far_as_align_does(portrait: Image, landmarker: Landmarker) -> None:
    """The head is all but frontal: what surrounds it is about where the crop of the photo has it."""
    size, margin = 400, 2.0
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=size, margin=margin))
    output = FrontalViews(size, margin=margin)(Photo(encode_image(portrait, ".png")), Job("a.png", "a"))
    [view] = output.images
    ring = np.ones(view.shape[:2], bool)
    ring[60:-60, 60:-60] = False
    unlike = difference(view, crop.image[:, ::-1])[ring].mean()
    assert difference(view, crop.image)[ring].mean() < 0.7 * unlike
    assert output.faces[0]["matrix"] == crop.ledger_row()["matrix"]


@pytest.mark.parametrize("model", ["geometric", "{brightening}"])
def test_without_a_margin_the_files_are_the_same(
    model: str, small_photos: Path, brightening: Path, run: Run, tmp_path: Path
) -> None:
    words = ["batch", small_photos, "--model", model.format(brightening=brightening), "--format", "png"]
    words += ["--workers", 1, "--quiet"]
    for name, more in (
        ("plain", ["--size", INNER]),
        ("zero", ["--size", INNER, "--margin", 0]),
        ("wide", ["--margin", MARGIN]),
    ):
        assert run(*words, *more, tmp_path / name).exit_code == 0
    assert tree(tmp_path / "zero") == tree(tmp_path / "plain")
    assert {row.settings for row in read_ledger(tmp_path / "zero")} == {
        row.settings for row in read_ledger(tmp_path / "plain")
    }
    for name in tree(tmp_path / "plain"):
        plain, wide = read_photo(tmp_path / "plain" / name), read_photo(tmp_path / "wide" / name)
        assert wide.shape == (SIDE, SIDE, 3)
        inside = slice(int(FEATHER * INNER) + 1, -int(FEATHER * INNER) - 1)
        assert difference(wide[48:-48, 48:-48], plain)[inside, inside].mean() < 1.5


def test_another_margin_is_another_setting(small_photos: Path, run: Run, tmp_path: Path) -> None:
    words = ["batch", small_photos, tmp_path / "out", "--model", "geometric", "--size", 64, "--workers", 1, "--quiet"]
    settings = []
    for more in ([], ["--margin", 0.2]):
        assert run(*words, *more).exit_code == 0
        rows = read_ledger(tmp_path / "out")
        assert [row.status for row in rows] == ["written"] * 2
        settings.append(rows[0].settings)
    assert settings[0] != settings[1]
