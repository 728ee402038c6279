"""Frontal views of real turned faces, and faces turned and turned back, on the photos of tests/data."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from tests.faces import FACES, TURNED, frontal_faces
from toolkit.crops.align import AlignConfig, AlignedCrop, align_photo
from toolkit.geometry.crop import chin_crop_points
from toolkit.geometry.head_pose import head_pose
from toolkit.geometry.mesh_topology import SKIN
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view
from toolkit.views.rotate import RotatableHead
from toolkit.views.segmentation import face_share, person_probability

SIDE = 128  # px, of crops and views


@pytest.fixture(scope="module")
def crops(landmarker: Landmarker) -> dict[str, AlignedCrop]:
    """The aligned frontal faces, by person."""
    return {
        person: align_photo(photo, landmarker, AlignConfig(size=SIDE))[0] for person, photo in frontal_faces().items()
    }


@pytest.fixture(scope="module")
def views(landmarker: Landmarker) -> dict[str, tuple[Image, NDArray[np.float32]]]:
    """The frontal view of each turned photo, and what of it was seen."""
    made = {}
    for name in TURNED:
        photo = read_photo(FACES / f"{name}.jpg")
        [crop] = align_photo(photo, landmarker, AlignConfig(size=SIDE))
        made[name] = frontal_view(photo, crop.face, SIDE)[:2]
    return made


def similarity(one: Image, other: Image, where: NDArray[np.bool_]) -> float:
    """Return the mean SSIM of some pixels."""
    _, similar = structural_similarity(one, other, channel_axis=2, full=True)
    return float(similar.mean(axis=2)[where].mean())


@pytest.mark.parametrize("name", TURNED)
def test_the_view_of_a_turned_face_is_frontal_and_in_place(name: str, landmarker: Landmarker) -> None:
    room, photo = SIDE // 2, read_photo(FACES / f"{name}.jpg")
    [crop] = align_photo(photo, landmarker, AlignConfig(size=SIDE))
    view = frontal_view(photo, crop.face, SIDE, border=room).image
    [face] = landmarker.find(view)
    assert abs(head_pose(face.landmarks).yaw) < 6  # measured 2.2 at most; the photos are turned by 36 to 90
    midpoint, chin = (np.array(chin_crop_points(face.landmarks - [room, room, 0])) + 0.5) / SIDE
    np.testing.assert_allclose(midpoint, [0.5, 0.2], atol=0.04)  # measured .026
    assert abs(chin[1] - 1) < 0.07  # measured .057, on a profile; .03 on the others


def test_views_are_more_like_their_own_person_than_like_others(
    views: dict[str, tuple[Image, NDArray[np.float32]]], crops: dict[str, AlignedCrop]
) -> None:
    """SSIM of the visible part against the frontal photos of the same minute."""
    own, others = list[float](), list[float]()
    for name, (view, visibility) in views.items():
        like = {person: similarity(crop.image, view, visibility > 0.3) for person, crop in crops.items()}
        own.append(like.pop(name[:3]))
        others += like.values()
    assert min(own) > 0.28 and np.mean(own) > 0.34  # measured .326 and .368
    assert np.mean(own) > np.mean(others) + 0.03  # measured .302


@pytest.mark.slow
def test_there_and_back(crops: dict[str, AlignedCrop]) -> None:
    """SSIM of the visible part of turned and returned faces against the aligned crop."""
    landmarker, averaged = open_landmarker(FindConfig(refine_profiles=False)), AveragedMesh()
    similar: dict[int, list[float]] = {30: [], 45: [], 60: []}
    off = []
    for number, (person, photo) in enumerate(frontal_faces().items()):
        head = RotatableHead(photo, crops[person].face)
        for yaw, values in similar.items():
            turn = yaw if number % 2 else -yaw
            view = head.view(turn).image
            [face] = landmarker.find(view)
            off.append(abs(head_pose(face.landmarks).yaw - crops[person].pose.yaw - turn))
            back, visibility, _ = frontal_view(view, averaged(view, face), SIDE)
            values.append(similarity(crops[person].image, back, visibility > 0.3))
    assert np.mean(similar[30]) > 0.78  # measured .815
    assert np.mean(similar[45]) > 0.74  # measured .779
    assert np.mean(similar[60]) > 0.71  # measured .760
    assert np.mean(off) < 9 and max(off) < 24  # measured 6.1 and 18.7 degrees


@pytest.mark.parametrize("name", [name for name in TURNED if "profile" in name])
def test_a_tight_crop_is_segmented_beyond_its_edges_too(name: str, landmarker: Landmarker) -> None:
    """The person network sees more than such a crop; with its edges extended as stripes it misses parts of faces."""
    photo = read_photo(FACES / f"{name}.jpg")
    [crop] = align_photo(photo, landmarker, AlignConfig(size=SIDE))
    landmarks = crop.face.landmarks[:SKIN].copy()
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    room = 0.1 * (high - low).max()
    (left, top), (right, bottom) = (low - room).astype(int), (high + room).astype(int)
    landmarks[:, :2] -= [left, top]
    probability = person_probability(np.ascontiguousarray(photo[top:bottom, left:right]), landmarks)
    assert face_share(probability, landmarks) > 0.97  # with stripes .96 and .87
