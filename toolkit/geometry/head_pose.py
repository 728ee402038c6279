"""A head's frame and pose, read off its mesh."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected
from toolkit.geometry.mesh_topology import CHIN, FOREHEAD, LEFT_EYE_OUTER, RIGHT_EYE_OUTER

YAW_STRETCH, YAW_BEND, YAW_CURVE, PITCH_STRETCH = 1.2, 50.0, 0.03, 1.07  # see head_pose(); degrees


@dataclass(frozen=True, slots=True)
class Pose:
    """Rotation of a head, in degrees; all zero for a frontal, upright face."""

    yaw: float  # positive: turned to the subject's left
    pitch: float  # positive: looking up
    roll: float  # positive: tilted to the subject's left shoulder

    @property
    def turn(self) -> float:
        """Degrees between where the face looks and the camera; roll, which a turned photo undoes, does not count."""
        return math.degrees(math.acos(math.cos(math.radians(self.yaw)) * math.cos(math.radians(self.pitch))))


def head_frame(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the axes of a head from its mesh.

    Args:
        landmarks: (478, 3) or (468, 3), pixels of the photo, z on the same scale.

    Returns:
        (3, 3), a rotation; its columns are the head's left-pointing axis (image right on a
        frontal face), down axis and backward axis. The identity for a frontal, upright face.

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
    """np.cross of two 3-vectors, without its 25 microseconds of looking at axes."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def head_pose(landmarks: NDArray[np.float64]) -> Pose:
    """Read yaw, pitch and roll off a mesh, as turned in that order (yaw about the neck first).

    The mesh network flattens turned heads: at a true yaw of 30, 60 and 75 degrees its mesh is
    turned by 25, 50 and 55. Yaw and pitch are stretched accordingly; the constants are fitted to
    views of known pose (tests/turned.py), where the yaw's mean error is 3 degrees up to 60 and 11 at 75.

    Args:
        landmarks: as for :func:`head_frame`.
    """
    across, down, _ = head_frame(landmarks).T
    roll = math.atan2(-down[0], down[1])
    pitch = math.atan2(-down[2], math.hypot(down[0], down[1]))
    level = np.array([math.cos(roll), math.sin(roll), 0.0])  # where the left-pointing axis would lie without yaw
    behind = _cross(level, down)
    yaw = math.degrees(math.atan2(across @ behind, across @ level))
    stretched = YAW_STRETCH * abs(yaw) + YAW_CURVE * max(0.0, abs(yaw) - YAW_BEND) ** 2
    return Pose(math.copysign(min(stretched, 90.0), yaw), PITCH_STRETCH * math.degrees(pitch), math.degrees(roll))


def level_direction(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which way is level in the image: the eye line on a frontal face, the head's own level on a turned one.

    In profile the eye line points at the camera and its direction is noise, while the down
    axis still shows. The shares shift with the squared cosine of the yaw, so nothing jumps.
    """
    return _level(head_frame(landmarks))


def _level(frame: NDArray[np.float64]) -> NDArray[np.float64]:
    (ax, dx, _), (ay, dy, _), _ = frame.tolist()
    frontal = min(1.0, ax * ax + ay * ay)
    eye_line, down_line = max(math.hypot(ax, ay), 1e-12), max(math.hypot(dx, dy), 1e-12)
    x = frontal * ax / eye_line + (1 - frontal) * dy / down_line
    y = frontal * ay / eye_line - (1 - frontal) * dx / down_line
    length = max(math.hypot(x, y), 1e-12)
    return np.array([x / length, y / length])
