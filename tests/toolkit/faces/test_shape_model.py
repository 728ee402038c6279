"""Fits to meshes of known shape, yaw and distance from the camera."""

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.faces.shape_model import fit_shape, head_coordinates, load_face_shapes
from toolkit.geometry.mesh_topology import MIRROR, SKIN


def yaw_rotation(yaw: float) -> NDArray[np.float64]:
    """Return (3, 3), a rotation by degrees about the vertical axis."""
    angle = np.radians(yaw)
    return np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])


def project(rotated: NDArray[np.float64], inverse_distance: float) -> NDArray[np.float64]:
    """Return (478, 3) landmarks of a rotated shape, (468, 3) head coordinates, in perspective."""
    seen = rotated[:, :2] / (1 + inverse_distance * rotated[:, 2:])
    mesh = np.column_stack([90 * seen + [200, 150], 90 * rotated[:, 2]])
    return np.concatenate([mesh, mesh[:10]])


@pytest.mark.parametrize("yaw", [-50, 0, 35])
def test_a_known_shape_and_rotation_are_recovered(yaw: float) -> None:
    mean, modes = load_face_shapes()
    shape, rotation = mean + modes[0] - 0.7 * modes[3], yaw_rotation(yaw)
    mesh = 90 * shape @ rotation.T + [200, 150, 0]
    fit = fit_shape(np.concatenate([mesh, mesh[:10]]))
    np.testing.assert_allclose(fit.rotation, rotation, atol=0.03)
    np.testing.assert_allclose(fit.scale, 90, rtol=0.03)
    assert np.abs(fit.shape - shape)[:, :2].max() < 0.05
    np.testing.assert_allclose(fit.project(fit.shape)[:, :2], mesh[:, :2], atol=3)
    asymmetry = 1e-3 if yaw == -50 else 0.03  # less turned faces keep the shape that their far half shows
    np.testing.assert_allclose(fit.shape[MIRROR[:SKIN]] * [-1, 1, 1], fit.shape, atol=asymmetry)


def test_head_coordinates_and_back(face: Face) -> None:
    points, rotation, scale, origin = head_coordinates(face.landmarks)
    np.testing.assert_allclose(scale * points @ rotation.T + origin, face.landmarks, atol=1e-6)
    np.testing.assert_allclose(points[[133, 362]].mean(axis=0), 0, atol=1e-9)
    assert abs(points[152, 1] - 1) < 0.02


@pytest.mark.parametrize("yaw", [0, 20, 60])
def test_a_face_near_the_camera_keeps_its_shape(monkeypatch: pytest.MonkeyPatch, yaw: float) -> None:
    mean, modes = load_face_shapes()
    shape = mean + modes[1]
    rotated = shape @ yaw_rotation(yaw).T
    far, near = (fit_shape(project(rotated, inverse_distance)) for inverse_distance in (0.0, 0.25))  # 0.25: 45 cm
    assert near.inverse_distance > far.inverse_distance + 0.08
    monkeypatch.setattr("toolkit.faces.shape_model.INVERSE_DISTANCE_STD", 1e-6)
    without_perspective = fit_shape(project(rotated, 0.25))
    error, error_without = (np.abs(fit.shape - shape)[:, :2].mean() for fit in (near, without_perspective))
    assert error < 0.8 * error_without
