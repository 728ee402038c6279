"""What frontal views show around the head, on the photos of tests/data."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.faces import FACES, TURNED, frontal_faces
from toolkit.faces.face import Face
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image
from toolkit.views.frontal import ViewInputs, prepare_view, render_view
from toolkit.views.surroundings import SEAM

SIZE, BORDER = 96, 40  # px
SIDE = SIZE + 2 * BORDER
UNIT = 0.8 * SIZE  # px per unit of head coordinates
CHIN = BORDER + SIZE  # row
HAIR = np.array([40, 30, 25])


@pytest.fixture(scope="module")
def turned(landmarker: Landmarker) -> dict[str, ViewInputs]:
    made = {}
    for name in TURNED:
        photo = read_photo(FACES / f"{name}.jpg")
        made[name] = prepare_view(photo, landmarker.find(photo)[0], SIZE, "chin", BORDER)
    return made


def wall_in(photo: Image) -> NDArray[np.float64]:
    return np.asarray(np.median(photo[:20, :20].reshape(-1, 3), axis=0))


def beside_jaw(view: Image) -> NDArray[np.float64]:
    """Return the colors beside the jaw, between mouth and chin, (N, 3)."""
    rows, left = slice(CHIN - round(0.2 * UNIT), CHIN - round(0.05 * UNIT)), BORDER
    columns = np.r_[left : left + 4, left + SIZE - 4 : left + SIZE]
    return view[rows, columns].reshape(-1, 3).astype(float)


def crop_with_border(photo: Image, face: Face) -> Image:
    matrix = crop_matrix(face.landmarks, SIZE)
    matrix[:, 2] += BORDER
    return warp_crop(photo, matrix, SIDE)


def test_a_face_that_looks_at_the_camera_stays_as_it_is(landmarker: Landmarker) -> None:
    """These faces are turned by 2 to 8 degrees: view and surroundings are the photo's own pixels, resampled."""
    people, photos = ("003", "021", "038"), frontal_faces()
    faces = {person: landmarker.find(photos[person])[0] for person in people}
    crops = {person: crop_with_border(photos[person], face).astype(int) for person, face in faces.items()}
    for person in people:
        inputs = prepare_view(photos[person], faces[person], SIZE, "chin", BORDER)
        for drawn in (inputs.background, render_view(inputs, SIDE, BORDER).image):
            off = {other: np.abs(drawn - crop).mean() for other, crop in crops.items()}
            assert off.pop(person) < 2.5  # two ways of resampling
            assert min(off.values()) > 10


@pytest.mark.parametrize("name", TURNED)
def test_the_far_side_of_a_turned_head_is_the_mirror_image(name: str, turned: dict[str, ViewInputs]) -> None:
    """As far down as the eyes; beside the jaw the background is where it is."""
    background = turned[name].background[: CHIN - round(UNIT)].astype(int)
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


@pytest.mark.parametrize("name", TURNED)
def test_beside_the_jaw_is_the_wall(name: str, turned: dict[str, ViewInputs]) -> None:
    photo, view = read_photo(FACES / f"{name}.jpg"), turned[name].background
    skin = render_view(turned[name], SIDE, BORDER).image[CHIN - 20 : CHIN - 5, SIDE // 2 - 20 : SIDE // 2 + 20]
    colors = wall_in(photo), skin.mean(axis=(0, 1))
    to_wall, to_skin = (np.linalg.norm(beside_jaw(view) - color, axis=1).mean() for color in colors)
    assert to_wall < 0.6 * to_skin


@pytest.mark.parametrize("name", TURNED)
def test_hair_beside_the_jaw_stays(name: str, landmarker: Landmarker) -> None:
    """Hair and clothes are as wide from the front. Strands are painted, because of dark faces."""
    photo = read_photo(FACES / f"{name}.jpg")
    face = landmarker.find(photo)[0]
    left, _, right, bottom = (round(side) for side in face.box)
    ears = round(face.landmarks[[234, 454], 1].mean())
    back, nose = (right - left) // 4, TURNED[name][0]  # 1: the nose points to the right of the photo
    painted, middle = photo.copy(), (left + right) // 2
    strands = np.where(np.random.default_rng(0).random(photo.shape[:2]) < 0.5, 1, 3)[..., None] * HAIR
    area = slice(ears, 2 * bottom - ears), slice(0, middle - back) if nose > 0 else slice(middle + back, None)
    painted[area] = strands[area]
    drawn = beside_jaw(prepare_view(painted, face, SIZE, "chin", BORDER).background)
    assert (np.abs(drawn - 2 * HAIR).max(axis=1) < 60).mean() > 0.5


def test_the_color_of_the_textures_first_pixel_is_not_on_the_rim(turned: dict[str, ViewInputs]) -> None:
    """Pixels beside the head have no place in the texture, and must not be drawn from its corner."""
    for inputs in turned.values():
        texture = np.full_like(inputs.texture, 100)
        texture[:1, :1] = [255, 0, 255]
        even = replace(inputs, texture=texture, background=np.full_like(inputs.background, 100))
        image = render_view(even, SIDE).image
        assert np.abs(image.astype(int) - 100).max() <= 3
