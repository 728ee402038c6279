"""Faces in profile that the mesh network does not accept: a detection that the profile network confirms.

The mesh network is made for frontal faces, and reports no face (a presence of 0) on one of twenty full profiles. There
the profile network stands in for it, where its points are where the detector's are. Of 592 full profiles, YuNet finds
all with a score of .66 or more, and in 95 of 100 the two agree within .2 of the distance from nose root to chin; in 277
squares without a face, YuNet finds nothing above .6.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.landmarks.detection import LEFT_EYE, MOUTH, NOSE, RIGHT_EYE, Detection, region_of_detection
from toolkit.landmarks.profiles.fusion import mesh_from_profile
from toolkit.landmarks.profiles.network import (
    CHIN_ROW,
    EYE,
    MAX_SPREAD,
    NOSE_ROOT_ROW,
    POINTS,
    ProfileLandmarks,
    ProfilePoints,
)
from toolkit.photos.types import Image

MIN_SCORE = 0.7  # of the detection
MAX_DISAGREEMENT = 0.25  # of the distance from nose root to chin: between points of the detector and of the network
_EYE_ROWS, _NOSE_ROWS, _MOUTH_ROWS = (np.flatnonzero(np.isin(POINTS, points)) for points in (EYE, [4], [13, 61]))


def face_of_profile(photo: Image, detection: Detection, network: ProfilePoints, name: str) -> Face | None:
    """Return the face of a detection, its mesh from the profile network's points; None where these do not confirm it.

    Args:
        photo: (H, W, 3) RGB uint8.
        detection: of that photo, with points of eyes, nose and mouth.
        network: the profile network.
        name: of the pass, for :attr:`Face.found_by`.
    """
    if detection.score < MIN_SCORE:
        return None
    profile = network(photo, region_of_detection(detection))
    if profile.spread >= MAX_SPREAD or not _disagreement(detection, profile) < MAX_DISAGREEMENT:
        return None
    return Face(mesh_from_profile(profile), detection.score, None, name)


def _disagreement(detection: Detection, profile: ProfileLandmarks) -> float:
    """Return the largest distance of eye, nose and mouth; NaN where the detector has no such point."""
    size = np.linalg.norm(profile.points[CHIN_ROW] - profile.points[NOSE_ROOT_ROW])
    theirs = detection.points[[LEFT_EYE if profile.near_side > 0 else RIGHT_EYE, NOSE, MOUTH]]
    rows: tuple[NDArray[Any], ...] = (_EYE_ROWS, _NOSE_ROWS, _MOUTH_ROWS)
    ours = np.array([profile.points[one].mean(axis=0) for one in rows])
    return float(np.linalg.norm(ours - theirs, axis=1).max() / max(float(size), 1e-6))
