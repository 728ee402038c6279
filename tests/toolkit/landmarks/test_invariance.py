"""The same face however its photo lies: turned by EXIF or in its pixels, mirrored, or much larger."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags
from PIL import Image as PilImage

from toolkit.crops.align import AlignedCrop, align_photo
from toolkit.geometry.affine import crop_to_photo
from toolkit.geometry.mesh_topology import MIRROR
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo, decode_photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image

CORNERS = np.array([[-0.5, -0.5], [255.5, -0.5], [255.5, 255.5], [-0.5, 255.5]])


def on_photo(crop: AlignedCrop) -> NDArray[np.float64]:
    """Where the crop's corners lie, pixels of its photo."""
    return crop_to_photo(CORNERS, crop.matrix)


def side(crop: AlignedCrop) -> float:
    """Of the crop, pixels of its photo."""
    return float(256 / np.sqrt(np.linalg.det(crop.matrix[:, :2])))


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_photo_on_its_side_gives_the_same_crop(portrait: Image, landmarker: Landmarker, quarters: int) -> None:
    [upright] = align_photo(portrait, landmarker)
    [turned] = align_photo(np.rot90(portrait, quarters), landmarker)
    assert turned.face.found_by == f"rotated-{360 - 90 * quarters}"
    x, y = (on_photo(turned) - 255.5).T  # about the photo's centre, which stays
    for _ in range(quarters):
        x, y = -y, x
    np.testing.assert_allclose(np.stack([x, y], axis=1) + 255.5, on_photo(upright), atol=0.01 * side(upright))
    assert np.abs(turned.image.astype(int) - upright.image).mean() < 1
    np.testing.assert_allclose(turned.pose.yaw, upright.pose.yaw, atol=0.5)


def test_a_mirrored_photo_gives_the_mirrored_crop(portrait: Image, landmarker: Landmarker) -> None:
    [straight] = align_photo(portrait, landmarker)
    [mirrored] = align_photo(portrait[:, ::-1], landmarker)
    across = (on_photo(mirrored) * [-1, 1] + [511, 0])[[1, 0, 3, 2]]
    np.testing.assert_allclose(across, on_photo(straight), atol=0.01 * side(straight))
    np.testing.assert_allclose(mirrored.pose.yaw, -straight.pose.yaw, atol=0.5)
    same = mirrored.face.landmarks[MIRROR, :2] * [-1, 1] + [511, 0]
    np.testing.assert_allclose(same, straight.face.landmarks[:, :2], atol=0.5)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_orientation_changes_nothing(portrait: Image, landmarker: Landmarker, orientation: int) -> None:
    stored = {
        2: portrait[:, ::-1],
        3: np.rot90(portrait, 2),
        4: portrait[::-1],
        5: portrait.transpose(1, 0, 2),
        6: np.rot90(portrait),
        7: np.rot90(portrait, 2).transpose(1, 0, 2),
        8: np.rot90(portrait, -1),
    }[orientation]
    exif = PilImage.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = io.BytesIO()
    PilImage.fromarray(np.ascontiguousarray(stored)).save(data, "PNG", exif=exif)
    [upright] = align_photo(portrait, landmarker)
    [found] = align_photo(Photo(data.getvalue()), landmarker)
    np.testing.assert_allclose(found.matrix, upright.matrix, atol=1e-9)


def test_in_plane_turns_are_the_heads_roll(portrait: Image, landmarker: Landmarker) -> None:
    [upright] = align_photo(portrait, landmarker)
    for degrees in (-30, -12, 12, 30):
        rotation = cv2.getRotationMatrix2D((255.5, 255.5), degrees, 0.8)
        [turned] = align_photo(np.asarray(cv2.warpAffine(portrait, rotation, (512, 512)), np.uint8), landmarker)
        np.testing.assert_allclose(turned.pose.roll, upright.pose.roll - degrees, atol=2)
        there = on_photo(upright) @ rotation[:, :2].T + rotation[:, 2]
        assert np.abs(on_photo(turned) - there).max() < 0.03 * side(turned)


def test_a_big_photo_gives_the_crop_of_a_small_one(portrait: Image, landmarker: Landmarker) -> None:
    """Searched at an eighth or a fourth of its size, cut where each crop pixel has a photo pixel."""
    small = portrait[:400]
    big = cv2.resize(small, (4096, 3200), interpolation=cv2.INTER_CUBIC)
    photo = Photo(encode_image(np.asarray(big, np.uint8), ".jpg", 95))
    [here], [there] = align_photo(small, landmarker), align_photo(photo, landmarker)
    corners = (on_photo(there) + 0.5) / 8 - 0.5
    np.testing.assert_allclose(corners, on_photo(here), atol=0.015 * side(here))
    assert np.abs(there.image.astype(int) - here.image).mean() < 6
    assert "upscaled" in here.ledger_row()
    assert "upscaled" not in there.ledger_row()
    np.testing.assert_allclose(there.face.size, 8 * here.face.size, rtol=0.03)  # pixels of the full photo


@pytest.mark.slow
def test_a_small_face_in_a_big_photo_is_looked_at_in_full(portrait: Image, landmarker: Landmarker) -> None:
    canvas = np.full((3000, 4000, 3), 128, np.uint8)
    canvas[800 : 800 + 512, 1500 : 1500 + 512] = portrait
    photo = Photo(encode_image(canvas, ".jpg", 95))
    [there], [here] = align_photo(photo, landmarker), align_photo(portrait, landmarker)
    assert np.abs(on_photo(there) - [1500, 800] - on_photo(here)).max() < 0.03 * side(here)
    assert photo.pixels(0)[1] == 1.0  # decoded in full in the end


def test_the_task_bundle_is_as_steady(shared: Path, portrait: Image, landmarker: Landmarker) -> None:
    by_task = open_landmarker(FindConfig(landmarker=shared / "models" / "face_landmarker.task"))
    [built_in], [task] = align_photo(portrait, landmarker), align_photo(portrait, by_task)
    assert task.face.score is None
    assert np.abs(on_photo(task) - on_photo(built_in)).max() < 0.04 * side(built_in)
    [turned] = align_photo(np.rot90(portrait), by_task)
    x, y = on_photo(turned).T
    np.testing.assert_allclose(np.stack([511 - y, x], axis=1), on_photo(task), atol=0.01 * side(task))


def test_shared_phone_photos_lie_the_same(shared: Path, landmarker: Landmarker) -> None:
    """Portraits saved as phones do: turned pixels, and the orientation in EXIF."""
    paths = sorted((shared / "portraits").glob("*.jpg"))[7::330]
    assert len(paths) == 4
    for path in paths:
        upright = decode_photo(path.read_bytes())
        exif = PilImage.Exif()
        exif[ExifTags.Base.Orientation] = 6
        data = io.BytesIO()
        PilImage.fromarray(np.rot90(upright).copy()).save(data, "JPEG", quality=95, subsampling=0, exif=exif)
        [plain], [turned] = align_photo(upright, landmarker), align_photo(Photo(data.getvalue()), landmarker)
        assert np.abs(on_photo(plain) - on_photo(turned)).max() < 0.01 * side(plain)
