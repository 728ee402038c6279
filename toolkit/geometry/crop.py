"""Crop templates: the matrix that maps a photo to a square crop of a face.

Conventions: points are (x, y) or (x, y, z) in pixels, origin at the center of the top-left
pixel, z away from the camera; left and right are the subject's; matrices map photo -> crop.
"""

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected
from toolkit.geometry.affine import fit_similarity
from toolkit.geometry.head_pose import frame_level, head_frame
from toolkit.geometry.mesh_topology import (
    CHIN,
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
)

Template = Literal["chin", "arcface", "ffhq"]
TEMPLATES: tuple[Template, ...] = get_args(Template)
_RIGHT_LIDS = [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7]
_LEFT_LIDS = [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249]
_LIDS = np.array(_RIGHT_LIDS + _LEFT_LIDS)

# The chin crop, in shares of its side: chin on the bottom edge, inner-eye midpoint centered, 0.8 above it.
MIDPOINT_X, MIDPOINT_Y, CHIN_Y = 0.5, 0.2, 1.0
LID_WEIGHT, CHIN_OFFSET = 0.6, 0.0076  # see chin_crop_points()

# Right eye, left eye, nose tip, right and left mouth corner on 112 x 112: Deng et al., ArcFace, CVPR 2019.
ARCFACE_XY = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def crop_matrix(landmarks: NDArray[np.float64], size: int, template: Template = "chin") -> NDArray[np.float64]:
    """Find the matrix that maps a photo to a square crop of a face.

    Args:
        landmarks: (478, 3), pixels of the photo.
        size: side of the crop, pixels.
        template: ``chin`` (this project's), ``arcface`` (five points) or ``ffhq`` (eyes and mouth).

    Returns:
        (2, 3) matrix M of rotation, uniform scale and translation; ``crop_xy = photo_xy @ M[:, :2].T + M[:, 2]``.

    Raises:
        PhotoRejected: ``bad-mesh``, the points that the template needs coincide.
    """
    fit = {"chin": _chin_matrix, "arcface": _arcface_matrix, "ffhq": _ffhq_matrix}[template]
    return fit(landmarks, size)


def chin_crop_points(landmarks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the two points that define the chin crop, where a person would mark them.

    The midpoint of the inner eye corners is averaged, across the face, with all points of the
    eyelids, which halves its noise. The true chin lies lower than the mesh's, by 0.6 % of the crop.

    Both are calibrated on the 51 neutral faces of the Face Research Lab London Set, whose points
    were placed by hand: CHIN_OFFSET is the mean distance there, as a share of the mesh's distance
    from midpoint to chin; the heights of the eyes agree within 0.1 %. The origin of the hand-placed
    points is the corner of the first pixel (half a pixel, 0.2 %): only with this origin do faces and
    their mirror images agree. tests/toolkit/crops/test_accuracy.py measures the remaining error.

    Args:
        landmarks: (478, 3), pixels of the photo.

    Returns:
        (2,) inner-eye midpoint and (2,) chin, pixels of the photo. Both are computed in the head's
        3D frame, so they stay defined when one eye is hidden.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    return _chin_crop_points(landmarks, head_frame(landmarks))


def _chin_crop_points(
    landmarks: NDArray[np.float64], frame: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    across, down, _ = frame.T
    corners = (landmarks[RIGHT_EYE_INNER] + landmarks[LEFT_EYE_INNER]) / 2
    lids = landmarks[_LIDS].sum(axis=0) / len(_LIDS)
    midpoint = corners + LID_WEIGHT * (across @ (lids - corners)) * across
    chin = landmarks[CHIN] + CHIN_OFFSET * (down @ (landmarks[CHIN] - midpoint)) * down
    return midpoint[:2], chin[:2]


def _chin_matrix(landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Put the inner-eye midpoint at (0.5, 0.2) of the side and the chin on the bottom edge, with the eyes level."""
    frame = head_frame(landmarks)
    midpoint, chin = _chin_crop_points(landmarks, frame)
    level = frame_level(frame)
    upright = np.array([level, [-level[1], level[0]]])
    drop = float(upright[1] @ (chin - midpoint))
    if drop < 1e-6:  # px
        raise PhotoRejected("bad-mesh", f"the chin lies {drop:.2g} px below the eyes; the mesh is upside down or empty")
    # Shares of the side are measured between pixel edges; pixel centers lie half a pixel inside.
    linear = upright * ((CHIN_Y - MIDPOINT_Y) * size / drop)
    target = np.array([MIDPOINT_X, MIDPOINT_Y]) * size - 0.5
    return np.column_stack([linear, target - linear @ midpoint])


def _arcface_matrix(landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    xy = landmarks[:, :2]
    eyes = (xy[[RIGHT_EYE_OUTER, LEFT_EYE_OUTER]] + xy[[RIGHT_EYE_INNER, LEFT_EYE_INNER]]) / 2
    return fit_similarity(np.concatenate([eyes, xy[[NOSE_TIP, MOUTH_RIGHT, MOUTH_LEFT]]]), ARCFACE_XY * (size / 112))


def _ffhq_matrix(landmarks: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Fit the oriented square of FFHQ: eyes and mouth give center, rotation and side.

    Source: Karras et al., StyleGAN, CVPR 2019.
    """
    xy = landmarks[:, :2]
    right_eye = (xy[RIGHT_EYE_OUTER] + xy[RIGHT_EYE_INNER]) / 2
    left_eye = (xy[LEFT_EYE_OUTER] + xy[LEFT_EYE_INNER]) / 2
    eye_to_eye, eyes = left_eye - right_eye, (left_eye + right_eye) / 2
    eye_to_mouth = (xy[MOUTH_RIGHT] + xy[MOUTH_LEFT]) / 2 - eyes
    half_across = eye_to_eye + np.array([eye_to_mouth[1], -eye_to_mouth[0]])
    length = max(math.hypot(*half_across), 1e-12)
    half_across *= max(math.hypot(*eye_to_eye) * 2.0, math.hypot(*eye_to_mouth) * 1.8) / length
    half_down = np.array([-half_across[1], half_across[0]])
    center = eyes + eye_to_mouth * 0.1
    corners = np.array(
        [center - half_across - half_down, center + half_across - half_down, center + half_across + half_down]
    )
    return fit_similarity(corners, np.array([[0, 0], [size, 0], [size, size]]) - 0.5)
