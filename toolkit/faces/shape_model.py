"""A statistical shape model of faces, and its fit to the mesh of a photo: 3D shape, rotation and camera.

The mesh of a turned face is unreliable on its far side. The fit relies on the near side and on the
model: the mean of 1,000 faces and 30 modes of variation.
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.crop import chin_crop_points
from toolkit.geometry.head_pose import head_frame
from toolkit.geometry.mesh_topology import (
    CHIN,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MIRROR,
    NOSE_ROOT,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    SKIN,
)

Points = NDArray[np.float64]
PIVOT = np.array([0.0, 0.35, 0.55])  # head coordinates: between the ears, the point about which a head turns
HEAD_HALF_SIDE = 1.7  # head coordinates: half the side of the square around the pivot that holds a head with its hair
DEPTH_SCALE = 0.9  # true depth of a face over the mesh network's on frontal photos, whose noses are too long in profile
REGULARIZATION = 3e-5  # cost of one standard deviation of shape, against squared distances in head coordinates
STEPS = 4  # Gauss-Newton steps
PROFILE_START_YAW, PROFILE_STEPS = 60.0, 8  # degrees of yaw at which the fit of a profile begins, and its steps
INVERSE_DISTANCE_MEAN, INVERSE_DISTANCE_STD = 0.04, 0.12  # 1 / camera distance: the mean is 2.7 m; 0.2 is arm's length
SYMMETRIC_SINE = 0.7  # sine of the yaw from which the shape of the far half is ignored
FAR_WEIGHT = 0.1  # weight of the hidden half relative to the near half


@dataclass(frozen=True, slots=True)
class Fit:
    """A face's shape and its projection onto a photo.

    With rotated = shape @ rotation.T, the photo's x and y are
    scale * rotated / (1 + inverse_distance * z) + shift, and its z is scale * z.
    """

    shape: Points  # (468, 3) head coordinates, the more symmetric the more the face is turned
    rotation: Points  # (3, 3)
    scale: float  # pixels per unit of head coordinates
    shift: Points  # (2,) pixels
    inverse_distance: float  # one over the camera's distance from the eyes, in head coordinates; 0 is infinitely far
    near_side: float  # +1 where the subject's left half is nearer to the camera, else -1

    @property
    def roll_rotation(self) -> Points:
        """The (3, 3) rotation with which the head would face the camera, with the same roll."""
        roll = math.atan2(-self.rotation[0, 1], self.rotation[1, 1])
        cos, sin = math.cos(roll), math.sin(roll)
        return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])

    def project(self, points: Points) -> Points:
        """Project (N, 3) points in head coordinates onto the photo: (N, 3) pixels."""
        rotated = points @ self.rotation.T
        projected = _project(rotated, self.inverse_distance)
        return np.column_stack([self.scale * projected + self.shift, self.scale * rotated[:, 2]])

    def rescale(self, shift: Points, scale: float) -> "Fit":
        """Return the same fit for the photo cropped and resized: ``(xy - shift + 0.5) * scale - 0.5``."""
        return replace(self, scale=self.scale * scale, shift=(self.shift - shift + 0.5) * scale - 0.5)


@cache
def load_face_shapes() -> tuple[Points, Points]:
    """Load the (468, 3) mean and the (30, 468, 3) modes of frontal faces, made by examples/learn/face_shapes.py."""
    with np.load(Path(__file__).with_name("face_shapes.npz")) as stored:
        scale = np.array([1, 1, DEPTH_SCALE])
        return stored["mean"] * scale, stored["modes"] * scale


def head_coordinates(landmarks: Points) -> tuple[Points, Points, float, Points]:
    """Convert a mesh to head coordinates, without the shape model.

    Args:
        landmarks: (478, 3) pixels of the photo.

    Returns:
        (478, 3) head coordinates; (3, 3) rotation, scale and (3,) origin of the inverse:
        ``landmarks = scale * points @ rotation.T + origin``.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    rotation = head_frame(landmarks)
    origin = (landmarks[RIGHT_EYE_INNER] + landmarks[LEFT_EYE_INNER]) / 2
    _, chin = chin_crop_points(landmarks)
    down = np.append(chin, landmarks[CHIN, 2]) - origin
    scale = max(float(down @ rotation[:, 1]), 1e-6)
    return (landmarks - origin) @ rotation / scale, rotation, scale, origin


def fit_shape(landmarks: Points) -> Fit:
    """Fit the model to a mesh with Gauss-Newton steps, with more weight on its near half.

    The residual that the 30 modes cannot express is added to the shape at the end: on a frontal face that of each
    half, on a turned face that of the near half to both.

    Args:
        landmarks: (478, 3) pixels of the photo.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    mean, modes = load_face_shapes()
    mesh = landmarks[:SKIN]
    rotation = head_frame(landmarks)
    near_side = 1.0 if landmarks[RIGHT_EYE_OUTER, 2] > landmarks[LEFT_EYE_OUTER, 2] else -1.0
    across = (mesh - mesh[[RIGHT_EYE_INNER, LEFT_EYE_INNER]].mean(axis=0)) @ rotation[:, 0]
    weights = FAR_WEIGHT + (1 - FAR_WEIGHT) / (1 + np.exp(-12 * near_side * across / np.abs(across).max()))
    weights /= weights.sum()
    rotation, inverse_distance, coefficients = _gauss_newton(mesh, rotation, mean, modes, weights, STEPS)
    shape = mean + np.tensordot(coefficients, modes, 1)
    rotated = shape @ rotation.T
    scale, shift = _fit_scale_shift(_project(rotated, inverse_distance), mesh, weights)
    residual = (mesh[:, :2] - shift) / scale - _project(rotated, inverse_distance)
    residual = (residual * (1 + inverse_distance * rotated[:, 2:])) @ rotation[:2]  # into head coordinates
    trust = np.maximum(weights / weights.max() - FAR_WEIGHT, 0.02)[:, None]
    mirror = MIRROR[:SKIN]
    symmetric = (trust * residual + trust[mirror] * residual[mirror] * [-1, 1, 1]) / (trust + trust[mirror])
    asymmetry = max(0.0, 1 - abs(float(rotation[2, 0])) / SYMMETRIC_SINE)  # only a frontal photo shows it
    residual = asymmetry * residual + (1 - asymmetry) * symmetric
    return Fit(shape + residual, rotation, scale, shift, inverse_distance, near_side)


def fit_points(points: Points, indices: NDArray[np.intp], weights: Points, near_side: float) -> Fit:
    """Fit the model to some points of a face seen from the side; mean and modes determine all others.

    Args:
        points: (N, 2) pixels of the photo.
        indices: (N,) of these points in the mesh, all on the skin.
        weights: (N,) of the points, 0 or more.
        near_side: +1 where the subject's left half is nearer to the camera, else -1.
    """
    mean, modes = load_face_shapes()
    down = points[np.flatnonzero(indices == CHIN)[0]] - points[np.flatnonzero(indices == NOSE_ROOT)[0]]
    upright = _rotation(np.array([0, 0, math.atan2(-down[0], down[1])]))
    rotation = upright @ _rotation(np.array([0, near_side * math.radians(PROFILE_START_YAW), 0]))
    weights = weights / weights.sum()
    rotation, inverse_distance, coefficients = _gauss_newton(
        points, rotation, mean[indices], modes[:, indices], weights, PROFILE_STEPS
    )
    shape = mean + np.tensordot(coefficients, modes, 1)
    scale, shift = _fit_scale_shift(_project(shape[indices] @ rotation.T, inverse_distance), points, weights)
    return Fit(shape, rotation, scale, shift, inverse_distance, near_side)


def _gauss_newton(
    mesh: Points, rotation: Points, mean: Points, modes: Points, weights: Points, steps: int
) -> tuple[Points, float, Points]:
    """Run Gauss-Newton steps from a first rotation; return rotation, inverse camera distance and coefficients."""
    coefficients, shape = np.zeros(len(modes)), mean
    camera = 0.0  # inverse distance: standard deviations from the mean
    for _ in range(steps):
        inverse_distance = INVERSE_DISTANCE_MEAN + INVERSE_DISTANCE_STD * camera
        scale, shift = _fit_scale_shift(_project(shape @ rotation.T, inverse_distance), mesh, weights)
        target = (mesh[:, :2] - shift) / scale
        turn, camera_change, change = _step(shape, rotation, camera, modes, coefficients, target, weights)
        rotation = _rotation(turn) @ rotation
        coefficients, camera = coefficients + change, min(max(camera + camera_change, -1.0), 4.0)
        shape = mean + np.tensordot(coefficients, modes, 1)
    return rotation, INVERSE_DISTANCE_MEAN + INVERSE_DISTANCE_STD * camera, coefficients


def _project(rotated: Points, inverse_distance: float) -> Points:
    """Project (N, 3) rotated points in perspective: (N, 2), at scale 1."""
    return np.asarray(rotated[:, :2] / (1 + inverse_distance * rotated[:, 2:]))


def _fit_scale_shift(projected: Points, mesh: Points, weights: Points) -> tuple[float, Points]:
    """Fit the scale and shift that map (N, 2) projected points to the mesh, by weighted least squares."""
    center, target = weights @ projected, weights @ mesh[:, :2]
    a, b = projected - center, mesh[:, :2] - target
    scale = max(float((weights @ (a * b)).sum() / max(float((weights @ (a * a)).sum()), 1e-12)), 1e-6)
    return scale, target - scale * center


def _step(
    shape: Points, rotation: Points, camera: float, modes: Points, coefficients: Points, target: Points, weights: Points
) -> tuple[Points, float, Points]:
    """Solve one Gauss-Newton step: a rotation vector (3,), a change of the camera, a change of the coefficients."""
    x, y, z = (shape @ rotation.T).T
    # Derivatives of the projection by three rotations, two shifts, scale, camera and modes. Shift and scale are solved
    # here too, but their values are discarded: _fit_scale_shift determines them.
    jacobian = np.zeros((7 + len(modes), 2, len(shape)))
    jacobian[0, 1], jacobian[1, 0], jacobian[2, 0], jacobian[2, 1] = -z, z, -y, x
    jacobian[3, 0] = jacobian[4, 1] = 1
    jacobian[5] = x, y
    jacobian[6] = -INVERSE_DISTANCE_STD * x * z, -INVERSE_DISTANCE_STD * y * z
    jacobian[7:, 0], jacobian[7:, 1] = modes @ rotation[0], modes @ rotation[1]
    projected = _project(np.column_stack([x, y, z]), INVERSE_DISTANCE_MEAN + INVERSE_DISTANCE_STD * camera)
    residual = (target - projected).T
    weighted = (jacobian * weights).reshape(len(jacobian), -1)
    normal, right = weighted @ jacobian.reshape(len(jacobian), -1).T, weighted @ residual.reshape(-1)
    normal[6:, 6:] += REGULARIZATION * np.eye(1 + len(modes))
    right[6:] -= REGULARIZATION * np.append(camera, coefficients)
    solved = np.asarray(np.linalg.solve(normal + 1e-12 * np.eye(len(normal)), right), np.float64)
    return solved[:3], float(solved[6]), solved[7:]


def _rotation(vector: Points) -> Points:
    """Return the (3, 3) rotation of a (3,) rotation vector, radians, by Rodrigues' formula."""
    angle = math.sqrt(float(vector @ vector))
    x, y, z = (vector / max(angle, 1e-12)).tolist()
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)
