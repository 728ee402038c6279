"""The shape behind a mesh: what the face would look like from the front, and how it is turned and placed.

A turned face's mesh is a guess on its far side. Its near side and what is known of faces in
general (the mean of 1,000 and thirty ways to differ from it) give the rest.
"""

import math
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.crop import anchors
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
PIVOT = np.array([0.0, 0.35, 0.55])  # head coordinates: between the ears, where the neck carries the head
HEAD_HALF = 1.7  # head coordinates: half the side of the square around the pivot that holds a head with its hair
DEPTH = 0.9  # true depth of a face over the mesh network's on frontal photos, whose noses come out long in profile
STIFFNESS = 3e-5  # how much a standard deviation of shape costs, against squared distances in head coordinates
STEPS = 4
SIDEWAYS, STEPS_SIDEWAYS = 60.0, 8  # degrees of yaw that a profile's fit begins with, and how long it takes from there
CLOSENESS, CLOSENESS_VARIES = 0.04, 0.12  # one over the camera's distance: 2.7 m; 0.2 at arm's length
ONE_SIDED = 0.7  # sine of the yaw from which the far half's own shape counts for nothing
FAR = 0.1  # weight of the hidden half against the near half


@dataclass(frozen=True, slots=True)
class Fit:
    """A face's shape, and how a photo shows it.

    With turned = shape @ rotation.T: photo = scale * turned / (1 + closeness * z) + shift; its z is scale * z.
    """

    shape: Points  # (468, 3) head coordinates, the more symmetric the more the face is turned
    rotation: Points  # (3, 3)
    scale: float  # pixels per unit of head coordinates
    shift: Points  # (2,) pixels
    closeness: float  # one over the camera's distance from the eyes, in head coordinates: 0 is far away
    near: float  # +1 where the subject's left half is nearer to the camera, else -1

    def on_photo(self, points: Points) -> Points:
        """Carry (N, 3) points in head coordinates onto the photo: (N, 3) pixels."""
        turned = points @ self.rotation.T
        seen = _seen(turned, self.closeness)
        return np.column_stack([self.scale * seen + self.shift, self.scale * turned[:, 2]])

    def moved(self, shift: Points, scale: float) -> "Fit":
        """The same in a part of the photo: ``(xy - shift + 0.5) * scale - 0.5``."""
        return replace(self, scale=self.scale * scale, shift=(self.shift - shift + 0.5) * scale - 0.5)


@cache
def known_shapes() -> tuple[Points, Points]:
    """(468, 3) mean and (30, 468, 3) modes of frontal faces; examples/learn_face_shapes.py made them."""
    with np.load(Path(__file__).with_name("face_shapes.npz")) as stored:
        deep = np.array([1, 1, DEPTH])
        return stored["mean"] * deep, stored["modes"] * deep


def head_coordinates(landmarks: Points) -> tuple[Points, Points, float, Points]:
    """A mesh in head coordinates as it is, nothing known of other faces.

    Args:
        landmarks: (478, 3) pixels of the photo.

    Returns:
        (478, 3) head coordinates; (3, 3) rotation, scale and (3,) origin that carry them back:
        ``landmarks = scale * points @ rotation.T + origin``.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    rotation = head_frame(landmarks)
    origin = (landmarks[RIGHT_EYE_INNER] + landmarks[LEFT_EYE_INNER]) / 2
    _, chin = anchors(landmarks)
    down = np.append(chin, landmarks[CHIN, 2]) - origin
    scale = max(float(down @ rotation[:, 1]), 1e-6)
    return (landmarks - origin) @ rotation / scale, rotation, scale, origin


def fit_shape(landmarks: Points) -> Fit:
    """Fit shape and placement to a mesh, mostly to its near half, by Gauss and Newton.

    What the thirty modes cannot express is added at the end: each half its own on a frontal face, the near half's to
    both on a turned one.

    Args:
        landmarks: (478, 3) pixels of the photo.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    mean, modes = known_shapes()
    mesh = landmarks[:SKIN]
    rotation = head_frame(landmarks)
    near = 1.0 if landmarks[RIGHT_EYE_OUTER, 2] > landmarks[LEFT_EYE_OUTER, 2] else -1.0
    across = (mesh - mesh[[RIGHT_EYE_INNER, LEFT_EYE_INNER]].mean(axis=0)) @ rotation[:, 0]
    weights = FAR + (1 - FAR) / (1 + np.exp(-12 * near * across / np.abs(across).max()))
    weights /= weights.sum()
    rotation, closeness, amounts = _solved(mesh, rotation, mean, modes, weights, STEPS)
    shape = mean + np.tensordot(amounts, modes, 1)
    turned = shape @ rotation.T
    scale, shift = _placement(_seen(turned, closeness), mesh, weights)
    rest = (mesh[:, :2] - shift) / scale - _seen(turned, closeness)
    rest = (rest * (1 + closeness * turned[:, 2:])) @ rotation[:2]  # into head coordinates
    trust = np.maximum(weights / weights.max() - FAR, 0.02)[:, None]
    mirror = MIRROR[:SKIN]
    even = (trust * rest + trust[mirror] * rest[mirror] * [-1, 1, 1]) / (trust + trust[mirror])
    own = max(0.0, 1 - abs(float(rotation[2, 0])) / ONE_SIDED)  # no face is symmetric, and a frontal photo shows how
    rest = own * rest + (1 - own) * even
    return Fit(shape + rest, rotation, scale, shift, closeness, near)


def fit_points(points: Points, numbers: NDArray[np.intp], weights: Points, near: float) -> Fit:
    """Fit shape and placement to some points of a face seen from the side; the mean and the modes give all others.

    Args:
        points: (N, 2) pixels of the photo.
        numbers: (N,) which points of the mesh these are, of the skin.
        weights: (N,) how much each counts.
        near: +1 where the subject's left half is nearer to the camera, else -1.
    """
    mean, modes = known_shapes()
    down = points[np.flatnonzero(numbers == CHIN)[0]] - points[np.flatnonzero(numbers == NOSE_ROOT)[0]]
    upright = _rotation(np.array([0, 0, math.atan2(-down[0], down[1])]))
    rotation = upright @ _rotation(np.array([0, near * math.radians(SIDEWAYS), 0]))
    weights = weights / weights.sum()
    rotation, closeness, amounts = _solved(points, rotation, mean[numbers], modes[:, numbers], weights, STEPS_SIDEWAYS)
    shape = mean + np.tensordot(amounts, modes, 1)
    scale, shift = _placement(_seen(shape[numbers] @ rotation.T, closeness), points, weights)
    return Fit(shape, rotation, scale, shift, closeness, near)


def _solved(
    mesh: Points, rotation: Points, mean: Points, modes: Points, weights: Points, steps: int
) -> tuple[Points, float, Points]:
    """Gauss and Newton's steps from a first rotation: the best one, how close the camera is, the modes' amounts."""
    amounts, shape, closer = np.zeros(len(modes)), mean, 0.0
    for _ in range(steps):
        closeness = CLOSENESS + CLOSENESS_VARIES * closer
        scale, shift = _placement(_seen(shape @ rotation.T, closeness), mesh, weights)
        turn, more, change = _step(shape, rotation, closer, modes, amounts, (mesh[:, :2] - shift) / scale, weights)
        rotation = _rotation(turn) @ rotation
        amounts, closer = amounts + change, min(max(closer + more, -1.0), 4.0)
        shape = mean + np.tensordot(amounts, modes, 1)
    return rotation, CLOSENESS + CLOSENESS_VARIES * closer, amounts


def _seen(turned: Points, closeness: float) -> Points:
    """(N, 2) of (N, 3) turned points: what is nearer to the camera looks larger."""
    return np.asarray(turned[:, :2] / (1 + closeness * turned[:, 2:]))


def _placement(seen: Points, mesh: Points, weights: Points) -> tuple[float, Points]:
    """The scale and shift that carry points as seen onto the photo, by weighted least squares."""
    middle, target = weights @ seen, weights @ mesh[:, :2]
    a, b = seen - middle, mesh[:, :2] - target
    scale = max(float((weights @ (a * b)).sum() / max(float((weights @ (a * a)).sum()), 1e-12)), 1e-6)
    return scale, target - scale * middle


def _step(
    shape: Points, rotation: Points, closer: float, modes: Points, amounts: Points, seen: Points, weights: Points
) -> tuple[Points, float, Points]:
    """One step of Gauss and Newton: a small turn (3,), a step of the camera, and a change of the modes' amounts."""
    x, y, z = (shape @ rotation.T).T
    # How the projection changes with three turns, two shifts, scale, camera and modes; shift and scale are found anew.
    slopes = np.zeros((7 + len(modes), 2, len(shape)))
    slopes[0, 1], slopes[1, 0], slopes[2, 0], slopes[2, 1] = -z, z, -y, x
    slopes[3, 0] = slopes[4, 1] = 1
    slopes[5] = x, y
    slopes[6] = -CLOSENESS_VARIES * x * z, -CLOSENESS_VARIES * y * z
    slopes[7:, 0], slopes[7:, 1] = modes @ rotation[0], modes @ rotation[1]
    rest = (seen - _seen(np.column_stack([x, y, z]), CLOSENESS + CLOSENESS_VARIES * closer)).T
    weighted = (slopes * weights).reshape(len(slopes), -1)
    square, right = weighted @ slopes.reshape(len(slopes), -1).T, weighted @ rest.reshape(-1)
    square[6:, 6:] += STIFFNESS * np.eye(1 + len(modes))
    right[6:] -= STIFFNESS * np.append(closer, amounts)
    solved = np.linalg.solve(square + 1e-12 * np.eye(len(square)), right)
    return solved[:3], float(solved[6]), solved[7:]


def _rotation(turn: Points) -> Points:
    """Rodrigues' formula: the rotation about an axis by its length, radians."""
    angle = math.sqrt(float(turn @ turn))
    x, y, z = (turn / max(angle, 1e-12)).tolist()
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)
