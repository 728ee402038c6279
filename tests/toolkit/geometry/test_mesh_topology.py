import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from toolkit.faces.shape_model import head_coordinates
from toolkit.geometry.mesh_topology import MIRROR, POINTS
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image


def test_each_point_is_paired_with_the_one_at_its_mirror_image(portrait: Image, landmarker: Landmarker) -> None:
    """The one-to-one assignment with the least squared distances in one portrait is the table."""
    [face] = landmarker.find(portrait)
    points, *_ = head_coordinates(face.landmarks)
    mirrored = points * [-1, 1, 1]
    squared_distances = ((mirrored[:, None] - points) ** 2).sum(axis=2)
    _, nearest = linear_sum_assignment(squared_distances)
    np.testing.assert_array_equal(nearest, MIRROR)


def test_mirroring_twice_changes_nothing() -> None:
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(POINTS))
