"""The converted networks and what surrounds them, against stored outputs of MediaPipe 0.10.21's own graphs."""

from contextlib import closing
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.faces import FACES
from toolkit.landmarks.blazeface import BlazeFace
from toolkit.landmarks.detection import Region
from toolkit.landmarks.face_mesh import INPUT_SIDE, FaceMesh
from toolkit.networks.runtime import built_in
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image

NAMES = sorted(path.stem for path in FACES.glob("*.jpg"))


@pytest.fixture(scope="module")
def stored() -> dict[str, NDArray[np.float64]]:
    with np.load(FACES / "mediapipe-0.10.21.npz") as file:
        return {name: file[name].astype(np.float64) for name in file.files}


@pytest.fixture(scope="module")
def faces() -> dict[str, Image]:
    return {name: read_photo(FACES / f"{name}.jpg") for name in NAMES}


@pytest.mark.parametrize("model_range", ["Short", "Full"])
def test_detections_are_mediapipes(
    stored: dict[str, NDArray[np.float64]], faces: dict[str, Image], model_range: Literal["Short", "Full"]
) -> None:
    found = BlazeFace(model_range, 0.5).find_all(list(faces.values()))
    total = 0
    for (name, photo), detections in zip(faces.items(), found, strict=True):
        theirs = stored[f"{name}/{model_range.lower()}"]
        assert len(detections) == len(theirs), name
        assert BlazeFace(model_range, 0.5).find(photo)[0].score == detections[0].score  # alone as in a batch
        for one, row in zip(detections, theirs, strict=True):
            total += 1
            assert abs(one.score - row[0]) < 0.01  # measured .0047
            ours = np.array([one.x, one.y, one.side, *one.points.ravel()])
            assert np.abs(ours - row[1:]).max() < 0.02 * one.side  # measured .002
    assert total >= 12


def test_meshes_are_mediapipes(stored: dict[str, NDArray[np.float64]], faces: dict[str, Image]) -> None:
    mesh, off = FaceMesh(), []
    for name, photo in faces.items():
        region = Region(*stored[f"{name}/region"])
        fit = mesh.fit(photo, region)
        assert abs(fit.presence - stored[f"{name}/presence"]) < 0.02, name
        scale = INPUT_SIDE / region.side
        distance = np.linalg.norm(fit.landmarks - stored[f"{name}/mesh"], axis=1) * scale
        off.append(distance)
    assert np.percentile(off, 99) < 0.3  # pixels of the network's 192; measured .15 with OpenCV 5, .06 with 4.11
    assert np.max(off) < 0.5  # measured .22


def test_the_person_mask_is_mediapipes(stored: dict[str, NDArray[np.float64]], faces: dict[str, Image]) -> None:
    for name, photo in faces.items():
        # MediaPipe stretches the whole photo to the input, corner to corner.
        scale = np.array([[photo.shape[1] / 256, 0, 0], [0, photo.shape[0] / 144, 0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        (masks,) = built_in("person_segmentation")(cv2.warpAffine(photo, scale, (256, 144), flags=flags)[None])
        mask = cv2.resize(masks[0], photo.shape[1::-1])[::8, ::8]
        assert np.abs(mask - stored[f"{name}/person"] / 255).mean() < 0.01, name


def test_squares_in_a_batch_are_squares_alone(faces: dict[str, Image], stored: dict[str, NDArray[np.float64]]) -> None:
    mesh = FaceMesh()
    region = Region(*stored[f"{NAMES[0]}/region"])
    squares = [(region, False), (region, True), (Region(region.x, region.y, region.side * 1.2, 0.3), False)]
    together = mesh.fit_all(faces[NAMES[0]], squares)
    for square, fit in zip(squares, together, strict=True):
        alone = mesh.fit_all(faces[NAMES[0]], [square])[0]
        np.testing.assert_array_equal(alone.landmarks, fit.landmarks)
        assert alone.presence == fit.presence


def test_a_flipped_square_is_the_square_of_the_flipped_photo(
    faces: dict[str, Image], stored: dict[str, NDArray[np.float64]]
) -> None:
    from toolkit.faces.face import flip_landmarks

    name, mesh = "003_frontal", FaceMesh()
    photo, region = faces[name], Region(*stored[f"{name}/region"])
    width = photo.shape[1]
    [here] = mesh.fit_all(photo, [(region, True)])
    flipped = Region(width - 1 - region.x, region.y, region.side, -region.angle)
    there = mesh.fit(np.ascontiguousarray(photo[:, ::-1]), flipped)
    # Bilinear weights are rounded to 1/32 of a pixel, from the other side.
    assert np.abs(flip_landmarks(there.landmarks, width) - here.landmarks).max() < 0.05 * region.side / INPUT_SIDE


def test_the_tasks_api_agrees(faces: dict[str, Image], shared: Path) -> None:
    """The independent witness: MediaPipe's current release with its newer mesh network."""
    pytest.importorskip("mediapipe", reason="the extra mediapipe is not installed: pip install '.[mediapipe]'")
    from toolkit.landmarks.finder import open_landmarker
    from toolkit.landmarks.mediapipe_tasks import TaskLandmarker

    ours, off = open_landmarker(), []
    with closing(TaskLandmarker(shared / "models" / "face_landmarker.task")) as theirs:
        for name in NAMES:
            if name.endswith("frontal"):
                [face], [other] = ours.find(faces[name]), theirs.find(faces[name])
                off.append(np.linalg.norm((face.landmarks - other.landmarks)[:, :2], axis=1).mean() / face.size)
    assert len(off) == 8
    assert np.mean(off) < 0.015  # of the face's height; measured .0067
