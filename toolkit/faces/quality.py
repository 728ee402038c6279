"""Quality scores that select the frontal target of a subject: sharpness, pose, eyes, mouth, resolution."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.head_pose import Pose
from toolkit.geometry.mesh_topology import CHIN, LEFT_EYE_INNER, LEFT_EYE_OUTER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER

# Mesh indices: of each eye the middle of the upper and the lower lid, outer and inner corner; then the inner lips.
_LIDS = np.array([159, 145, RIGHT_EYE_OUTER, RIGHT_EYE_INNER, 386, 374, LEFT_EYE_OUTER, LEFT_EYE_INNER])
_UPPER_LIP, _LOWER_LIP = 13, 14
_MOUTH = np.array([RIGHT_EYE_INNER, LEFT_EYE_INNER, _UPPER_LIP, _LOWER_LIP, CHIN])


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Compute the variance of the Laplacian of a gray crop at 128 px, in squared gray levels.

    Below about 20 a crop looks blurred. The fixed size makes crops of any size comparable.

    Args:
        crop: (S, S, 3) RGB uint8.

    Source: Pech-Pacheco et al., ICPR 2000.
    """
    small = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


def eyes_open(landmarks: NDArray[np.float64]) -> float:
    """Return height over width of the eye that is open wider: about 0.3 when open, below 0.12 when closed."""
    lids = landmarks[_LIDS].tolist()
    return max(
        math.dist(top, bottom) / max(math.dist(outer, inner), 1e-12)
        for top, bottom, outer, inner in (lids[:4], lids[4:])
    )


def mouth_open(landmarks: NDArray[np.float64]) -> float:
    """Return the gap of the inner lips over the distance from eyes to chin: 0 when closed, 0.05 in a wide smile."""
    right, left, upper, lower, chin = landmarks[_MOUTH].tolist()
    midpoint = [(a + b) / 2 for a, b in zip(right, left, strict=True)]
    return math.dist(lower, upper) / max(math.dist(chin, midpoint), 1e-12)


def target_score(pose: Pose, sharp: float, eyes: float, mouth: float, upscaled: float = 1.0) -> float:
    """Score a face as the frontal target of its subject, 0 to 1: the product of five factors.

    - pose: 1 when frontal, 0 from 45 degrees of yaw and pitch together;
    - sharpness: 1 from a Laplacian variance of 100, proportional below;
    - eyes: 1 from an opening of 0.2, proportional below;
    - mouth: 1 when closed, 0.5 from a gap of 0.1;
    - resolution: 1 if the photo has at least the crop's pixels, 1/2 if it was enlarged twice.
    """
    facing = max(0.0, 1 - math.hypot(pose.yaw, pose.pitch) / 45)
    return facing * min(1.0, sharp / 100) * min(1.0, eyes / 0.2) * max(0.5, 1 - mouth * 5) / max(1.0, upscaled)


def row_score(face: dict[str, Any]) -> float:
    """Compute :func:`target_score` for a face's row in the ledger of `align`."""
    pose = Pose(face["yaw"], face["pitch"], face["roll"])
    return target_score(pose, face["sharpness"], face["eyes_open"], face["mouth_open"], face.get("upscaled", 1.0))
