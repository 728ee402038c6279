import numpy as np

from toolkit.faces.face import Face
from toolkit.photos.types import Image
from toolkit.views.backdrop import draw_backdrop, replace_backdrop, without_person


def test_the_person_stays_and_what_is_behind_is_replaced(head_photo: Image, face: Face) -> None:
    green = np.broadcast_to(np.array([0, 255, 0], np.uint8), (2, 2, 3))
    replaced = replace_backdrop(head_photo, face.landmarks, np.ascontiguousarray(green))
    x, y = face.landmarks[:468, :2].round().astype(int).T
    assert (replaced[y, x] == head_photo[y, x]).all(axis=1).mean() > 0.95  # all but some at the hairline
    is_green = (replaced == [0, 255, 0]).all(axis=2)
    assert 0.1 < is_green.mean() < 0.8


def test_backdrops_differ_and_are_mostly_pale() -> None:
    colors = np.stack([draw_backdrop(np.random.default_rng(seed)) for seed in range(100)]).astype(float)
    assert np.ptp(colors.mean(axis=(1, 2, 3))) > 100
    saturation = np.ptp(colors.mean(axis=(1, 2)), axis=1)
    assert saturation.min() < 15 < 60 < saturation.max()


def test_behind_a_person_the_background_continues_and_beyond_the_edges() -> None:
    photo, person = np.full((120, 160, 3), [200, 210, 220], np.uint8), np.zeros((120, 160), np.float32)
    photo[40:, 50:110], person[40:, 50:110] = [90, 60, 50], 1
    x, y = np.meshgrid(np.arange(-20, 180, dtype=np.float32), np.arange(-20, 140, dtype=np.float32))
    background = without_person(photo, person, x, y)
    assert background is not None
    assert background.shape == (160, 200, 3)
    assert np.abs(background.astype(int) - [200, 210, 220]).max() <= 2


def test_where_the_background_shows_it_stays_sharp() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (120, 160, 3), dtype=np.uint8)
    person = np.zeros((120, 160), np.float32)
    person[40:, 90:] = 1
    x, y = np.meshgrid(np.arange(5, 80, dtype=np.float32), np.arange(5, 110, dtype=np.float32))
    np.testing.assert_array_equal(without_person(photo, person, x, y), photo[5:110, 5:80])


def test_a_photo_full_of_a_person_shows_no_background() -> None:
    photo, person = np.full((80, 80, 3), 90, np.uint8), np.ones((80, 80), np.float32)
    person[:8, :8] = 0
    assert without_person(photo, person, np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32)) is None
