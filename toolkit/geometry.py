"""Where a face lies: the head's frame and pose, and the matrices that carry a photo onto a crop.

Conventions: points are (x, y) or (x, y, z) in pixels, origin at the centre of the top-left
pixel, z away from the camera; left and right are the subject's; matrices map photo -> crop.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected

Template = Literal["chin", "arcface", "ffhq"]
TEMPLATES: tuple[Template, ...] = get_args(Template)

# FaceMesh indices (MediaPipe's canonical face model).
RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER = 33, 133, 362, 263
NOSE_TIP, NOSE_ROOT, MOUTH_RIGHT, MOUTH_LEFT, FOREHEAD, CHIN = 1, 168, 61, 291, 10, 152
_RIGHT_LIDS = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7]
_LEFT_LIDS = [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249]
_LIDS = np.array(_RIGHT_LIDS + _LEFT_LIDS)

# The chin crop, in shares of its side (DESIGN.md): chin on the bottom edge, inner-eye midpoint 0.8 above it.
MIDPOINT_ACROSS, MIDPOINT_DOWN, CHIN_DOWN = 0.5, 0.2, 1.0
LID_SHARE, CHIN_LOWER = 0.6, 0.0076  # see anchors()
YAW_STRETCH, YAW_BEND, YAW_CURVE, PITCH_STRETCH = 1.2, 50.0, 0.03, 1.07  # see head_pose(); degrees

# Right eye, left eye, nose tip, right and left mouth corner on 112 x 112 (Deng et al., ArcFace, CVPR 2019).
ARCFACE_XY = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


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


def crop_matrix(landmarks: NDArray[np.float64], size: int, template: Template = "chin") -> NDArray[np.float64]:
    """Find the matrix that cuts a square crop around a face.

    Args:
        landmarks: (478, 3), pixels of the photo.
        size: side of the crop, pixels.
        template: ``chin`` (ours), ``arcface`` (five points) or ``ffhq`` (eyes and mouth).

    Returns:
        (2, 3) matrix M, rotation, uniform scale and shift; ``crop_xy = photo_xy @ M[:, :2].T + M[:, 2]``.

    Raises:
        PhotoRejected: ``bad-mesh``, the points that the template needs coincide.
    """
    fit = {"chin": _chin_matrix, "arcface": _arcface_matrix, "ffhq": _ffhq_matrix}[template]
    return fit(landmarks, size)


def anchors(landmarks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the two points that the chin crop hangs on, as a person would mark them.

    Across the face, the midpoint of the inner eye corners leans on all points of the lids: half as
    noisy as two corners. The true chin lies lower than the mesh's, by 0.6 % of the crop.

    Both are calibrated on the 51 neutral faces of the Face Research Lab London Set, whose points
    were placed by hand: CHIN_LOWER is the mean distance there, in shares of the mesh's own distance
    from midpoint to chin; the heights of the eyes agree within 0.1 %. The hand-placed points count
    from the corner of the first pixel (half a pixel, 0.2 %): only so do faces and their mirror
    images agree. tests/test_accuracy.py measures what is left.

    Returns:
        (2,) inner-eye midpoint and (2,) chin, pixels of the photo. Both are taken in the head's
        3D frame, so they stay defined when one eye is hidden.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    return _anchors(landmarks, head_frame(landmarks))


def _anchors(
    landmarks: NDArray[np.float64], frame: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    across, down, _ = frame.T
    corners = (landmarks[RIGHT_EYE_INNER] + landmarks[LEFT_EYE_INNER]) / 2
    lids = landmarks[_LIDS].sum(axis=0) / len(_LIDS)
    midpoint = corners + LID_SHARE * (across @ (lids - corners)) * across
    chin = landmarks[CHIN] + CHIN_LOWER * (down @ (landmarks[CHIN] - midpoint)) * down
    return midpoint[:2], chin[:2]


def _chin_matrix(landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The inner-eye midpoint on (0.5, 0.2) of the side, the chin's height on the bottom edge, the eyes level."""
    frame = head_frame(landmarks)
    midpoint, chin = _anchors(landmarks, frame)
    level = _level(frame)
    upright = np.array([level, [-level[1], level[0]]])
    drop = float(upright[1] @ (chin - midpoint))
    if drop < 1e-6:  # px
        raise PhotoRejected("bad-mesh", f"the chin lies {drop:.2g} px below the eyes; the mesh is upside down or empty")
    # Shares of the side count from pixel edge to pixel edge; pixel centres lie half a pixel inside.
    linear = upright * ((CHIN_DOWN - MIDPOINT_DOWN) * size / drop)
    target = np.array([MIDPOINT_ACROSS, MIDPOINT_DOWN]) * size - 0.5
    return np.column_stack([linear, target - linear @ midpoint])


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


def _arcface_matrix(landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    xy = landmarks[:, :2]
    eyes = (xy[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER]] + xy[[RIGHT_EYE_INNER, LEFT_EYE_INNER]]) / 2
    return fit_similarity(np.concatenate([eyes, xy[[NOSE_TIP, MOUTH_RIGHT, MOUTH_LEFT]]]), ARCFACE_XY * (size / 112))


def _ffhq_matrix(landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The oriented square of Karras et al., StyleGAN, CVPR 2019 (FFHQ): eyes and mouth give centre, tilt and side."""
    xy = landmarks[:, :2]
    right_eye = (xy[RIGHT_EYE_OUTER] + xy[RIGHT_EYE_INNER]) / 2
    left_eye = (xy[LEFT_EYE_OUTER] + xy[LEFT_EYE_INNER]) / 2
    eye_to_eye, eyes = left_eye - right_eye, (left_eye + right_eye) / 2
    eye_to_mouth = (xy[MOUTH_RIGHT] + xy[MOUTH_LEFT]) / 2 - eyes
    half_across = eye_to_eye + np.array([eye_to_mouth[1], -eye_to_mouth[0]])
    length = max(math.hypot(*half_across), 1e-12)
    half_across *= max(math.hypot(*eye_to_eye) * 2.0, math.hypot(*eye_to_mouth) * 1.8) / length
    half_down = np.array([-half_across[1], half_across[0]])
    centre = eyes + eye_to_mouth * 0.1
    corners = np.array(
        [centre - half_across - half_down, centre + half_across - half_down, centre + half_across + half_down]
    )
    return fit_similarity(corners, np.array([[0, 0], [size, 0], [size, size]]) - 0.5)


def fit_similarity(photo_xy: NDArray[np.float64], crop_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the rotation, uniform scale and shift that best carry photo points onto crop points.

    "Best" is least squares in crop pixels. A mirrored result is not among the candidates:
    a flipped face shows as a large residual, not as a plausible wrong crop.

    Args:
        photo_xy: (N, 2), pixels of the photo.
        crop_xy: (N, 2), pixels of the crop, same order of points.

    Returns:
        (2, 3) matrix M; ``crop_xy ~ photo_xy @ M[:, :2].T + M[:, 2]``.

    Raises:
        PhotoRejected: ``bad-mesh``, all photo points coincide.

    Source: in the plane, a similarity is one complex multiplication and one addition, so the
    least-squares solution is the complex regression of crop on photo points.
    """
    photo_mean, crop_mean = photo_xy.mean(axis=0), crop_xy.mean(axis=0)
    photo = (photo_xy - photo_mean) @ [1, 1j]
    crop = (crop_xy - crop_mean) @ [1, 1j]
    spread = float(np.vdot(photo, photo).real)
    if spread < 1e-12:  # px^2
        raise PhotoRejected(
            "bad-mesh", f"all {len(photo_xy)} points lie at {photo_mean.round(1)}; two distinct ones are needed"
        )
    turn = np.vdot(photo, crop) / spread
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, crop_mean - linear @ photo_mean])


def widened(matrix: NDArray[np.float64], size: int, margin: float) -> NDArray[np.float64]:
    """The (2, 3) matrix that leaves ``margin`` sides of the crop around what ``matrix`` fills; same size in pixels."""
    shrink = 1 / (1 + 2 * margin)
    wide = matrix * shrink
    wide[:, 2] += (1 - shrink) * (size - 1) / 2
    return wide


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) matrix crop -> photo for a (2, 3) matrix photo -> crop."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])
