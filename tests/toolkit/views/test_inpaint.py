import numpy as np

from toolkit.photos.types import Image
from toolkit.views.inpaint import extend_person_colors, inpaint_smooth


def test_the_background_takes_the_persons_colors(head_photo: Image) -> None:
    assert extend_person_colors(head_photo, None) is head_photo
    mask = np.zeros((6, 8), np.float32)
    mask[:, :4] = 1
    photo = np.zeros((6, 8, 3), np.uint8)
    photo[:, :4], photo[:, 4:] = 200, 9
    assert (extend_person_colors(photo, mask) == 200).all()


def test_holes_are_filled_from_around() -> None:
    photo = np.full((40, 50, 3), 77, np.uint8)
    known = np.ones((40, 50), bool)
    known[10:30, 15:35] = False
    photo[~known] = 255
    np.testing.assert_allclose(inpaint_smooth(photo, known), 77, atol=0.5)
