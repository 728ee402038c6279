"""How well a face serves as a frontal target: sharp, facing the camera, eyes open, mouth closed."""

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.head_pose import Pose
from toolkit.geometry.mesh_topology import CHIN, LEFT_EYE_INNER, LEFT_EYE_OUTER, RIGHT_EYE_INNER, RIGHT_EYE_OUTER

# FaceMesh indices: middle of the upper and the lower lid, outer and inner corner of each eye; then the inner lips.
_LIDS = np.array([159, 145, RIGHT_EYE_OUTER, RIGHT_EYE_INNER, 386, 374, LEFT_EYE_OUTER, LEFT_EYE_INNER])
_UPPER_LIP, _LOWER_LIP = 13, 14
_MOUTH = np.array([RIGHT_EYE_INNER, LEFT_EYE_INNER, _UPPER_LIP, _LOWER_LIP, CHIN])


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the grey crop at 128 px, in squared grey levels: below about 20 looks blurred.

    Source: Pech-Pacheco et al., ICPR 2000. The fixed size makes crops of any size comparable.
    """
    small = cv2.resize(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (128, 128), interpolation=cv2.INTER_AREA)
    _, spread = cv2.meanStdDev(cv2.Laplacian(small, cv2.CV_16S))
    return float(spread[0, 0]) ** 2


def eyes_open(landmarks: NDArray[np.float64]) -> float:
    """Height over width of the wider-open eye: about 0.3 when open, below 0.12 when shut."""
    lids = landmarks[_LIDS].tolist()
    return max(
        math.dist(top, bottom) / max(math.dist(outer, inner), 1e-12)
        for top, bottom, outer, inner in (lids[:4], lids[4:])
    )


def mouth_open(landmarks: NDArray[np.float64]) -> float:
    """Gap between the inner lips over the distance from the eyes to the chin: 0 when closed, 0.05 in a wide smile."""
    right, left, upper, lower, chin = landmarks[_MOUTH].tolist()
    midpoint = [(a + b) / 2 for a, b in zip(right, left, strict=True)]
    return math.dist(lower, upper) / max(math.dist(chin, midpoint), 1e-12)


def target_score(pose: Pose, sharp: float, eyes: float, mouth: float, enlarged: float = 1.0) -> float:
    """How fit a face is to be the frontal target of its subject; 0 to 1, the product of five readable shares.

    - facing: 1 when frontal, 0 from 45 degrees of yaw and pitch together;
    - sharp: 1 from a Laplacian variance of 100, in proportion below;
    - eyes: 1 from an opening of 0.2, in proportion below;
    - mouth: 1 when closed, 0.5 from a gap of 0.1;
    - size: 1 where the photo has the crop's pixels, a half where it had to be enlarged twice.
    """
    facing = max(0.0, 1 - math.hypot(pose.yaw, pose.pitch) / 45)
    return facing * min(1.0, sharp / 100) * min(1.0, eyes / 0.2) * max(0.5, 1 - mouth * 5) / max(1.0, enlarged)


def row_score(face: dict[str, Any]) -> float:
    """:func:`target_score` of a face as the ledger of `align` has it."""
    pose = Pose(face["yaw"], face["pitch"], face["roll"])
    return target_score(pose, face["sharpness"], face["eyes_open"], face["mouth_open"], face.get("upscaled", 1.0))
