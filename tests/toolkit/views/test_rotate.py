"""Heads rotated to other poses: on the portrait that comes with scikit-image, and on the London faces."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from toolkit.crops.align import AlignConfig, align_photo
from toolkit.faces.depth_jitter import draw_depth_offsets
from toolkit.faces.face import Face
from toolkit.geometry.head_pose import head_pose
from toolkit.geometry.mesh_topology import SKIN
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view
from toolkit.views.rotate import RotatableHead, rotate_view


def test_without_rotation_it_is_the_photo_and_the_background_never_changes(head_photo: Image, face: Face) -> None:
    head = RotatableHead(head_photo, face)
    still, aside = head.view(0), head.view(40)
    x, y = face.landmarks[[1, 50, 280, 152, 9], :2].round().astype(int).T
    assert np.abs(still.image[y, x].astype(int) - head_photo[y, x]).mean() < 12
    for view in (still, aside):
        assert view.image.shape == head_photo.shape
        corner = np.abs(view.image[:40, :40].astype(int) - head_photo[:40, :40])
        assert corner.mean() < 2
    np.testing.assert_array_equal(rotate_view(head_photo, face, 40).image, aside.image)


@pytest.mark.parametrize("yaw", [-45, -20, 20, 45, 60])
def test_the_landmarker_finds_rotated_heads_where_the_view_places_them(
    head_photo: Image, face: Face, landmarker: Landmarker, yaw: float
) -> None:
    view = rotate_view(head_photo, face, yaw, 5)
    found = landmarker.find(view.image)
    assert found
    distance = np.hypot(*(found[0].landmarks[:SKIN, :2] - view.landmarks[:SKIN, :2]).T)
    assert np.median(distance) < 0.06 * face.size
    rotated_by = head_pose(found[0].landmarks).yaw - head_pose(face.landmarks).yaw
    assert abs(rotated_by - yaw) < 12


def test_a_light_brightens_its_side(head_photo: Image, face: Face) -> None:
    head = RotatableHead(head_photo, face)
    even = head.view(0).image.astype(float)
    left, right = (head.view(0, 0, (azimuth, 0.8)).image.astype(float) for azimuth in (70, -70))
    (rx, ry), (lx, ly) = face.landmarks[[50, 280], :2].round().astype(int)  # cheeks: the subject's right, left
    assert left[ly, lx].mean() > right[ly, lx].mean() + 15
    assert right[ry, rx].mean() > left[ry, rx].mean() + 15
    assert np.abs(left[:40, :40] - even[:40, :40]).max() <= 1  # the background is not lit


def test_depth_offsets_change_profiles_only(head_photo: Image, face: Face) -> None:
    offsets = draw_depth_offsets(np.random.default_rng(4))
    assert offsets.shape == (SKIN,)
    assert 0.02 < np.abs(offsets).mean() < 0.2
    assert not draw_depth_offsets(np.random.default_rng(4), 0.0).any()
    plain, jittered = RotatableHead(head_photo, face), RotatableHead(head_photo, face, offsets)
    from_front, from_side = (
        np.abs(plain.view(yaw).landmarks[:SKIN, 0] - jittered.view(yaw).landmarks[:SKIN, 0]).max() for yaw in (0, 80)
    )
    assert from_side > 0.03 * face.size
    assert from_front < 0.2 * from_side


@pytest.mark.slow
def test_there_and_back_on_london_faces(shared: Path) -> None:
    """SSIM of the visible part against the aligned crop, and the share of rotated faces that are found at all."""
    landmarker, average = open_landmarker(FindConfig(refine_profiles=False)), AveragedMesh()
    similar: dict[int, list[float]] = {30: [], 45: [], 60: []}
    found = []
    for number, path in enumerate(sorted((shared / "london").glob("*_neutral.jpg"))[3::10]):
        photo = np.asarray(cv2.resize(read_photo(path), None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA), np.uint8)
        [crop] = align_photo(photo, landmarker, AlignConfig(size=128))
        head = RotatableHead(photo, crop.face)
        for yaw, values in similar.items():
            view = head.view(yaw if number % 2 else -yaw).image
            faces = landmarker.find(view)
            found.append(len(faces))
            if faces:
                back, visibility, _ = frontal_view(view, average(view, faces[0]), 128)
                _, same = structural_similarity(crop.image, back, channel_axis=2, full=True)
                values.append(float(same.mean(axis=2)[visibility > 0.3].mean()))
    assert np.mean(found) > 0.9
    assert np.mean(similar[30]) > 0.76
    assert np.mean(similar[45]) > 0.69
    assert np.mean(similar[60]) > 0.54
