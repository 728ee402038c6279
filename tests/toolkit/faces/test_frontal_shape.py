"""The correction of turned faces' shapes."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.photo_jobs.views import ViewLandmarker
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.faces.frontal_shape import frontal_shape, shape_features
from toolkit.faces.shape_model import Fit, fit_shape, load_face_shapes
from toolkit.geometry.crop import CHIN_Y, MIDPOINT_Y
from toolkit.geometry.mesh_topology import MIRROR, NOSE_TIP, SKIN
from toolkit.photos.decode import Photo, read_bytes

PEOPLE = ("002", "006", "010", "014", "019", "024")  # the correction was learned without them


def fit_at(yaw: float) -> Fit:
    """The fit of a face that is neither mean nor symmetric."""
    mean, modes = load_face_shapes()
    shape = mean + modes[0] - 0.5 * modes[3] + np.random.default_rng(0).normal(0, 0.01, mean.shape)
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    rotation = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    return Fit(shape, rotation, 100.0, np.array([64.0, 64]), 0.04, math.copysign(1, yaw))


def mirrored(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(points[MIRROR[:SKIN]] * [-1, 1, 1])


def test_a_face_that_looks_at_the_camera_is_not_corrected() -> None:
    fit = fit_at(0)
    assert not shape_features(fit).any()
    np.testing.assert_array_equal(frontal_shape(fit), fit.shape)
    slightly = fit_at(1)
    assert 0 < np.abs(frontal_shape(slightly) - slightly.shape).max() < 0.02


@pytest.mark.parametrize("yaw", [20, 45, 90])
def test_a_mirrored_face_has_the_mirrored_correction(yaw: float) -> None:
    fit = fit_at(yaw)
    other = replace(fit_at(-yaw), shape=mirrored(fit.shape))
    np.testing.assert_allclose(frontal_shape(other), mirrored(frontal_shape(fit)), atol=1e-3)
    assert np.abs(frontal_shape(fit) - fit.shape).max() > 0.005


def test_at_45_degrees_noses_become_longer_and_faces_narrower() -> None:
    """Two errors that the meshes of real photos have on average."""
    mean, _ = load_face_shapes()
    fit = replace(fit_at(45), shape=mean)
    corrected = frontal_shape(fit)
    assert corrected[NOSE_TIP, 1] > mean[NOSE_TIP, 1] + 0.01
    assert 0.95 < np.ptp(corrected[:, 0]) / np.ptp(mean[:, 0]) < 0.995


@pytest.mark.slow
def test_turned_faces_of_others_become_those_of_their_frontal_photos(shared: Path) -> None:
    landmarker = ViewLandmarker()

    def fit(path: Path) -> Fit:
        photo = Photo(read_bytes(path))
        [crop] = align_photo(photo, landmarker.landmarker, AlignConfig())
        return fit_shape(landmarker.pixels_and_face(photo, crop)[1].landmarks)

    errors = []
    for person in PEOPLE:
        wanted = fit(shared / "london" / f"{person}_neutral.jpg").shape
        turned = fit(shared / "london_views" / f"{person}_neutral_left_3quarter.jpg")
        for shape in (turned.shape, frontal_shape(turned)):
            errors.append(np.linalg.norm((shape - wanted)[:, :2], axis=1).mean() * 128 * (CHIN_Y - MIDPOINT_Y))
    before, after = np.reshape(errors, (-1, 2)).mean(axis=0)
    assert after < 0.75 * before
    assert after < 1.4  # px of 128
