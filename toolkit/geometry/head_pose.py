"""The axes and the pose of a head, computed from its mesh."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected
from toolkit.geometry.mesh_topology import CHIN, FOREHEAD, LEFT_EYE_OUTER, RIGHT_EYE_OUTER

# Correction of the mesh's angles, degrees; see head_pose(). Yaw: a factor, and a quadratic term from a threshold on.
YAW_FACTOR, YAW_THRESHOLD, YAW_QUADRATIC, PITCH_FACTOR = 1.2, 50.0, 0.03, 1.07


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation of a head, in degrees; all zero for a frontal, upright face."""

    yaw: float  # positive: turned to the subject's left
    pitch: float  # positive: looking up
    roll: float  # positive: tilted to the subject's left shoulder

    @property
    def turn(self) -> float:
        """Angle between the face's forward direction and the camera, degrees; roll does not change it."""
        return math.degrees(math.acos(math.cos(math.radians(self.yaw)) * math.cos(math.radians(self.pitch))))


def head_frame(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the axes of a head from its mesh.

    Args:
        landmarks: (478, 3) or (468, 3), pixels of the photo, z on the same scale.

    Returns:
        (3, 3) rotation; its columns are the head's left axis (image right on a frontal face), down
        axis and backward axis. The identity for a frontal, upright face.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    across = landmarks[LEFT_EYE_OUTER] - landmarks[RIGHT_EYE_OUTER]
    down = landmarks[CHIN] - landmarks[FOREHEAD]
    width = math.sqrt(across @ across)
    across = across / max(width, 1e-12)
    down = down - across * (down @ across)
    height = math.sqrt(down @ down)
    if not (width > 1e-6 and height > 1e-6):  # px
        raise PhotoRejected("bad-mesh", f"eyes {width:.2g} px apart, face {height:.2g} px high; no head frame exists")
    down = down / height
    return np.stack([across, down, _cross(across, down)], axis=1)


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cross product of two 3-vectors, without the 25 microseconds of np.cross's axis handling."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def head_pose(landmarks: NDArray[np.float64]) -> Pose:
    """Compute yaw, pitch and roll of a mesh, rotated in this order (yaw about the neck first).

    The mesh network flattens turned heads: at a true yaw of 30, 60 and 75 degrees its mesh is
    turned by 25, 50 and 55. Yaw and pitch are scaled up to correct this; the constants are fitted to
    views of known pose (tests/turned.py), where the mean error of the yaw is 3 degrees up to 60 and 11 at 75.

    Args:
        landmarks: as for :func:`head_frame`.
    """
    across, down, _ = head_frame(landmarks).T
    roll = math.atan2(-down[0], down[1])
    pitch = math.atan2(-down[2], math.hypot(down[0], down[1]))
    level = np.array([math.cos(roll), math.sin(roll), 0.0])  # the left axis of the same head without yaw
    behind = _cross(level, down)
    yaw = math.degrees(math.atan2(across @ behind, across @ level))
    corrected = YAW_FACTOR * abs(yaw) + YAW_QUADRATIC * max(0.0, abs(yaw) - YAW_THRESHOLD) ** 2
    return Pose(math.copysign(min(corrected, 90.0), yaw), PITCH_FACTOR * math.degrees(pitch), math.degrees(roll))


def level_direction(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the direction in the image in which a face's eyes are to lie level.

    This is the eye line on a frontal face. In profile the eye line points at the camera and its
    direction is noise, so there the normal of the head's down axis takes its place. The two are
    blended by the squared cosine of the yaw, so the direction is continuous.

    Args:
        landmarks: as for :func:`head_frame`.

    Returns:
        (2,) unit vector, towards the subject's left.
    """
    return frame_level(head_frame(landmarks))


def frame_level(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the level direction of a (3, 3) head frame; see :func:`level_direction`."""
    (ax, dx, _), (ay, dy, _), _ = frame.tolist()
    frontal = min(1.0, ax * ax + ay * ay)
    eye_line, down_line = max(math.hypot(ax, ay), 1e-12), max(math.hypot(dx, dy), 1e-12)
    x = frontal * ax / eye_line + (1 - frontal) * dy / down_line
    y = frontal * ay / eye_line - (1 - frontal) * dx / down_line
    length = max(math.hypot(x, y), 1e-12)
    return np.array([x / length, y / length])
