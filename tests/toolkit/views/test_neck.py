"""The background beside the necks of frontal views, on the photos of tests/data."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.faces import FACES, TURNED
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view
from toolkit.views.neck import uncover_beside_neck
from toolkit.views.surroundings import Frame

SIZE = 160  # px
UNIT = 0.8 * SIZE  # px per unit of head coordinates, which begin at the inner eyes
ROWS = slice(round(0.2 * SIZE + 0.8 * UNIT), round(0.2 * SIZE + 0.95 * UNIT))  # between mouth and chin
CORNER = round(0.05 * UNIT)  # px
HAIR = np.array([40, 30, 25])


def view_of(photo: Image, landmarker: Landmarker) -> Image:
    return frontal_view(photo, landmarker.find(photo)[0], SIZE).image


def wall_in(photo: Image) -> NDArray[np.float64]:
    return np.asarray(np.median(photo[:20, :20].reshape(-1, 3), axis=0))


def beside_jaw(view: Image) -> NDArray[np.float64]:
    """Return the colors in both lower corners, (N, 3)."""
    return np.concatenate([view[ROWS, :CORNER], view[ROWS, -CORNER:]], axis=1).reshape(-1, 3).astype(float)


@pytest.mark.parametrize("name", TURNED)
def test_beside_the_jaw_is_the_wall(name: str, landmarker: Landmarker) -> None:
    photo = read_photo(FACES / f"{name}.jpg")
    view = view_of(photo, landmarker)
    skin = view[ROWS, SIZE // 3 : SIZE * 2 // 3].mean(axis=(0, 1))
    to_wall, to_skin = (np.linalg.norm(beside_jaw(view) - color, axis=1).mean() for color in (wall_in(photo), skin))
    assert to_wall < 0.6 * to_skin


@pytest.mark.parametrize("name", ["003_left_3quarter", "030_left_profile", "070_right_profile"])
def test_a_neck_of_another_color_stays(name: str, landmarker: Landmarker) -> None:
    """Hair and clothes beside the jaw are as wide from the front; those as dark as the face count as skin."""
    photo = read_photo(FACES / f"{name}.jpg")
    face = landmarker.find(photo)[0]
    left, _, right, bottom = (round(side) for side in face.box)
    ears = round(face.landmarks[[234, 454], 1].mean())
    back, nose = (right - left) // 4, TURNED[name][0]  # 1: the nose points to the right of the photo
    painted, middle = photo.copy(), (left + right) // 2
    painted[ears : 2 * bottom - ears, slice(0, middle - back) if nose > 0 else slice(middle + back, None)] = HAIR
    drawn = frontal_view(painted, face, SIZE).image
    assert (np.abs(beside_jaw(drawn) - HAIR).max(axis=1) < 40).mean() > 0.5


def test_where_the_photo_shows_no_background_nothing_changes(landmarker: Landmarker) -> None:
    photo = read_photo(FACES / "061_right_3quarter.jpg")
    face = landmarker.find(photo)[0]
    fit = fit_shape(face.landmarks)
    frame = Frame(crop_matrix(fit.shape, SIZE), np.eye(2, 3), fit, SIZE)
    view_xy = fit.shape[:, :2] @ frame.head_to_view[:, :2].T + frame.head_to_view[:, 2]
    left, top, right, bottom = (round(side) for side in face.box)
    skin = np.median(photo[top:bottom, left:right].reshape(-1, 3), axis=0).astype(np.uint8)
    view = np.broadcast_to(skin, (SIZE, SIZE, 3)).copy()
    for probability in (1, 0):
        person = np.full(photo.shape[:2], probability, np.float32)
        drawn = uncover_beside_neck(view, photo, person, face.landmarks[:, :2], view_xy, frame)
        assert bool((drawn == view).all()) == bool(probability)
