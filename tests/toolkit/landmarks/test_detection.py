import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.landmarks.detection import RIGHT_EAR, Detection, region_of_detection

# A frontal face in a box of 100 px around (200, 300): eyes, nose, mouth, ears.
POINTS = np.array([[180.0, 280], [220, 280], [200, 305], [200, 330], [150, 285], [250, 285]])


def test_a_box_alone_is_taken_for_an_upright_frontal_face() -> None:
    box = Detection(0.9, 200.0, 300.0, 100.0, np.full((6, 2), np.nan))
    assert region_of_detection(box) == region_of_detection(Detection(0.9, 200.0, 300.0, 100.0, POINTS))


def test_without_ears_the_eyes_give_the_turn() -> None:
    points = POINTS + np.array([[0, 0], [0, 0], [12, 0], [0, 0], [0, 0], [0, 0]])  # the nose is nearer to one eye
    points[RIGHT_EAR:] = np.nan
    region = region_of_detection(Detection(0.9, 200.0, 300.0, 100.0, points))
    assert region.x == pytest.approx(200 + 0.25 * 3.6 * 12, abs=2)
    assert region.angle == pytest.approx(0.65 * 3.6 * 12 / 100)


@pytest.mark.parametrize("matrix", [np.array([[0.0, 2, 10], [-2, 0, 900]]), np.array([[-3.0, 0, 700], [0, 3, 5]])])
def test_a_detection_is_mapped_with_its_points(matrix: NDArray[np.float64]) -> None:
    mapped = Detection(0.9, 200.0, 300.0, 100.0, POINTS).transformed(matrix)
    assert mapped.side == 100 * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    np.testing.assert_allclose([mapped.x, mapped.y], matrix @ [200, 300, 1])
    expected = POINTS @ matrix[:, :2].T + matrix[:, 2]
    is_flipped = np.linalg.det(matrix[:, :2]) < 0  # then the subject's left eye becomes the right one
    np.testing.assert_allclose(mapped.points, expected[[1, 0, 2, 3, 5, 4]] if is_flipped else expected)
