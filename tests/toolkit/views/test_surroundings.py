"""What frontal views show around the head, on the photos of tests/data."""

from dataclasses import replace

import numpy as np
import pytest

from tests.faces import FACES, TURNED, frontal_faces
from toolkit.faces.face import Face
from toolkit.faces.head_mesh import build_head
from toolkit.faces.shape_model import Fit, load_face_shapes
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image
from toolkit.views.frontal import ViewInputs, prepare_view, render_view
from toolkit.views.skull import trim_skull
from toolkit.views.surroundings import SEAM, surroundings

SIZE, BORDER = 96, 40  # px
SIDE = SIZE + 2 * BORDER
UNIT = 0.8 * SIZE  # px per unit of head coordinates
CHIN = BORDER + SIZE  # row


@pytest.fixture(scope="module")
def turned(landmarker: Landmarker) -> dict[str, ViewInputs]:
    made = {}
    for name in TURNED:
        photo = read_photo(FACES / f"{name}.jpg")
        made[name] = prepare_view(photo, landmarker.find(photo)[0], SIZE, "chin", BORDER)
    return made


def crop_with_border(photo: Image, face: Face) -> Image:
    matrix = crop_matrix(face.landmarks, SIZE)
    matrix[:, 2] += BORDER
    return warp_crop(photo, matrix, SIDE)


def test_around_a_head_that_faces_the_camera_the_photo_stays_as_it_is(portrait: Image) -> None:
    mean, _ = load_face_shapes()
    fit = Fit(mean, np.eye(3), 60.0, np.array([225.0, 120.0]), 0.0, 1.0)  # about where the portrait has its face
    vertices = build_head(mean, back=False).vertices
    head = trim_skull(vertices, vertices)
    to_view = crop_matrix(mean, SIZE)
    to_view[:, 2] += BORDER
    other = np.zeros_like(portrait)  # the neck is the photo's too
    drawn = surroundings(portrait, other, fit.project(head)[:, :2], head, fit, to_view, SIDE)
    landmarks = np.concatenate([fit.project(mean), np.zeros((10, 3))])  # and the irises, which no crop needs
    expected = crop_with_border(portrait, Face(landmarks, None))
    off = np.abs(drawn.astype(int) - expected)
    assert off.mean() < 2  # two ways of resampling
    assert np.abs(np.roll(expected, 1, axis=1).astype(int) - expected).mean() > 3 * off.mean()


def test_around_a_real_frontal_face_the_contours_move_little(landmarker: Landmarker) -> None:
    """These faces are turned by 2 to 8 degrees."""
    people, photos = ("003", "021", "038"), frontal_faces()
    faces = {person: landmarker.find(photos[person])[0] for person in people}
    crops = {person: crop_with_border(photos[person], face).astype(int) for person, face in faces.items()}
    for person in people:
        background = prepare_view(photos[person], faces[person], SIZE, "chin", BORDER).background
        off = {other: np.abs(background - crop).mean() for other, crop in crops.items()}
        assert off.pop(person) < 0.6 * min(off.values())


@pytest.mark.parametrize("name", TURNED)
def test_the_far_side_of_a_turned_head_is_the_mirror_image(name: str, turned: dict[str, ViewInputs]) -> None:
    background = turned[name].background.astype(int)
    beyond = int(SEAM * SIDE) + 3  # px from the middle, with the rounding of the crop's middle
    left = background[:, : SIDE // 2 - beyond]
    right = background[:, SIDE - 1 : SIDE - 1 - left.shape[1] : -1]
    assert np.abs(left - right).max() <= 1


@pytest.mark.parametrize("name", TURNED)
def test_nothing_is_black_or_empty(name: str, turned: dict[str, ViewInputs]) -> None:
    background = turned[name].background
    assert (background.max(axis=2) == 0).mean() < 1e-3
    blocks = background[: SIDE // 16 * 16, : SIDE // 16 * 16].astype(float).mean(axis=2).reshape(SIDE // 16, 16, -1, 16)
    assert (blocks.std(axis=(1, 3)) == 0).sum() <= 2  # of 121: the even wall behind the head, no more


@pytest.mark.parametrize("name", TURNED)
def test_a_neck_is_below_the_chin(name: str, turned: dict[str, ViewInputs]) -> None:
    """The throat of a turned head ends at its contour; the wall beyond it must not show below the chin."""
    wall = read_photo(FACES / f"{name}.jpg")[:8, :8].reshape(-1, 3).mean(axis=0)
    background, middle = turned[name].background, SIDE // 2
    half = round(0.12 * UNIT)
    below = background[CHIN + 2 : CHIN + round(0.25 * UNIT), middle - half : middle + half]
    assert (np.abs(below - wall).max(axis=2) > 30).mean() > 0.9


def test_the_color_of_the_textures_first_pixel_is_not_on_the_rim(turned: dict[str, ViewInputs]) -> None:
    """Pixels beside the head have no place in the texture, and must not be drawn from its corner."""
    for inputs in turned.values():
        texture = np.full_like(inputs.texture, 100)
        texture[:1, :1] = [255, 0, 255]
        even = replace(inputs, texture=texture, background=np.full_like(inputs.background, 100))
        image, _ = render_view(even, SIDE)
        assert np.abs(image.astype(int) - 100).max() <= 3
