"""How exact the crop and the pose are, against hand-placed points and views of known yaw."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.faces import FACES, TURNED, frontal_faces, placed_points
from tests.turned import turned
from toolkit.crops.align import align_photo
from toolkit.errors import PhotoRejected
from toolkit.geometry.head_pose import head_pose
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo


def test_london_faces_land_where_people_placed_the_points(shared: Path, landmarker: Landmarker) -> None:
    """Against 189 hand-placed points, which count from the corner of the first pixel: 22, 23 inner eyes, 129 chin."""
    off, chins = [], []
    for table in sorted((shared / "london").glob("*_neutral.csv")):
        truth = np.loadtxt(table, delimiter=",", skiprows=1) - 0.5
        [crop] = align_photo(read_photo(table.with_suffix(".jpg")), landmarker)
        moved = (truth @ crop.matrix[:, :2].T + crop.matrix[:, 2] + 0.5) / 256
        off.append(np.hypot(*((moved[22] + moved[23]) / 2 - [0.5, 0.2])))
        chins.append(moved[129, 1] - 1)
    assert np.percentile(off, 95) < 0.0105  # measured .0099
    assert abs(np.mean(chins)) < 0.003  # measured .0000
    assert np.percentile(np.abs(chins), 95) < 0.021  # measured .0200


def test_small_london_faces_land_where_people_placed_the_points(landmarker: Landmarker) -> None:
    """The eight frontal faces of tests/data; errors in shares of the crop."""
    off, chins, points = [], [], placed_points()
    for person, photo in frontal_faces().items():
        [crop] = align_photo(photo, landmarker)
        inner = (points[person]["right_eye_inner"] + points[person]["left_eye_inner"]) / 2
        midpoint, chin = (
            (crop.matrix[:, :2] @ point + crop.matrix[:, 2] + 0.5) / 256 for point in (inner, points[person]["chin"])
        )
        off.append(np.hypot(*(midpoint - [0.5, 0.2])))
        chins.append(chin[1] - 1)
        assert abs(crop.pose.yaw) < 8  # measured 4.9 at most
    assert len(off) == 8
    assert np.mean(off) < 0.005 and max(off) < 0.0095  # measured .0038 and .0072
    assert abs(np.mean(chins)) < 0.01 and np.abs(chins).max() < 0.026  # measured -.0062 and .0208


@pytest.mark.parametrize("name", TURNED)
def test_turned_london_faces_have_their_yaw(name: str, landmarker: Landmarker) -> None:
    side, least, most = TURNED[name]
    [crop] = align_photo(read_photo(FACES / f"{name}.jpg"), landmarker)
    assert least <= side * crop.pose.yaw <= most
    assert abs(crop.pose.roll) < 10


def faces_with_room(shared: Path, landmarker: Landmarker) -> list[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Small photos with room around a face that looks ahead, and its mesh."""
    faces = []
    paths = (
        sorted((shared / "london").glob("*_neutral.jpg"))[4::13] + sorted((shared / "portraits").glob("*.jpg"))[5::260]
    )
    for path in paths:
        photo = read_photo(path)
        scale = 360 / photo.shape[0]
        photo = np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
        photo = np.asarray(cv2.copyMakeBorder(photo, 30, 30, 80, 80, cv2.BORDER_REPLICATE), np.uint8)
        [face] = landmarker.find(photo)
        if abs(head_pose(face.landmarks).yaw) < 6:
            faces.append((photo, face.landmarks))
    return faces


@pytest.mark.slow
def test_yaw_and_pitch_of_known_views(shared: Path, landmarker: Landmarker) -> None:
    errors: dict[int, list[float]] = {yaw: [] for yaw in (20, 40, 60, 75)}
    pitches, sizes, seen = [], [], 0
    faces = faces_with_room(shared, landmarker)
    assert len(faces) >= 6
    for number, (photo, mesh) in enumerate(faces):
        [straight] = align_photo(photo, landmarker)
        for yaw, misses in errors.items():
            sign = 1 if number % 2 else -1
            view, _ = turned(photo, mesh, sign * yaw)
            try:
                [crop] = align_photo(view, landmarker)
            except PhotoRejected:
                continue
            seen += 1
            misses.append(abs(crop.pose.yaw - sign * yaw))
            if yaw <= 40:
                sizes.append(np.linalg.det(crop.matrix[:, :2]) / np.linalg.det(straight.matrix[:, :2]))
        view, _ = turned(photo, mesh, 0, 20)
        [crop] = align_photo(view, landmarker)
        pitches.append(crop.pose.pitch - 20)
    assert seen >= 0.9 * 4 * len(faces)
    assert np.mean(errors[20] + errors[40] + errors[60]) < 5
    assert np.mean([miss for misses in errors.values() for miss in misses]) < 10
    assert np.abs(np.sqrt(sizes) - 1).mean() < 0.06  # no jump in scale
    assert abs(np.mean(pitches)) < 5
