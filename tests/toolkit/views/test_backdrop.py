import numpy as np

from toolkit.faces.face import Face
from toolkit.photos.types import Image
from toolkit.views.backdrop import draw_backdrop, replace_backdrop


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
