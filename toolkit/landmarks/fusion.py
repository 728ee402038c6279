"""Two networks' views of one turned face, made one.

The mesh network sees all of the face, and loses sides of faces; the profile network sees 39 points, and was taught on
drawn heads alone. They err in different places, so between them the points lie nearer to where people mark them.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import fit_points, known_shapes
from toolkit.geometry.mesh_topology import MIRROR, SKIN
from toolkit.landmarks.profile_network import CHIN, EYE, IRIS, JAW, LIPS, LOST, POINTS, ROOT, Profile, numbers_seen

Points = NDArray[np.float64]
SHARE = 0.7  # of the way from the mesh to the profile network's points: nearest to people's fiducials, by a little
TURNED = (25.0, 45.0)  # degrees of yaw: from none of that to all of it
SPREAD = (LOST - 0.003, LOST + 0.003)  # of its looks: from all of it to none
APART = 0.1  # of the distance from the root of the nose to the chin: one of the two is lost
REACH, STIFFNESS = 0.4, 0.5  # head coordinates, how far around a point the mesh follows it; and how reluctantly
UNSURE = 0.3  # weight of the jaw's points, which slide along it
_SEEN = np.flatnonzero(POINTS < SKIN)
_FIRM = np.flatnonzero(~np.isin(POINTS, [*IRIS, *JAW, *LIPS]))  # of lips, open ones above all, the mesh knows more


def agreed(mesh: Points, profile: Profile, yaw: float) -> Points:
    """The mesh moved towards the profile network's points; where the mesh is lost, one made from these points.

    Args:
        mesh: (478, 3) pixels of the photo.
        profile: of the same face.
        yaw: of the mesh, degrees.

    Returns:
        (478, 3).
    """
    if apart(mesh, profile) > APART:
        return rebuilt(profile) if profile.spread < LOST else mesh
    trust = float(np.interp(profile.spread, SPREAD, (1, 0)))
    return _moved(mesh, profile, SHARE * trust * float(np.interp(abs(yaw), TURNED, (0, 1))))


def apart(mesh: Points, profile: Profile) -> float:
    """How far a mesh is from the profile network's points in the mean, in distances from nose root to chin."""
    size = np.linalg.norm(profile.points[CHIN] - profile.points[ROOT])
    off = mesh[profile.numbers, :2] - profile.points
    return float(np.linalg.norm(off[_FIRM], axis=1).mean() / max(float(size), 1e-6))


def rebuilt(profile: Profile) -> Points:
    """(478, 3) pixels: the likeliest face with these points."""
    weights = np.where(np.isin(POINTS, JAW), UNSURE, 1.0)
    fit = fit_points(profile.points[_SEEN], profile.numbers[_SEEN], weights[_SEEN], profile.near)
    skin = fit.on_photo(fit.shape)
    irises = np.repeat([skin[EYE].mean(axis=0), skin[MIRROR[EYE]].mean(axis=0)], 5, axis=0)
    return np.concatenate([skin, irises])


def _moved(mesh: Points, profile: Profile, share: float) -> Points:
    """Shift the mesh, and bend it smoothly, so that its points come nearer to the profile network's."""
    numbers = profile.numbers[_FIRM]
    off = profile.points[_FIRM] - mesh[numbers, :2]
    middle = off.mean(axis=0)
    moved = mesh.copy()
    moved[:, :2] += share * middle
    moved[:SKIN, :2] += share * _follows(profile.near) @ (off - middle)
    return moved


@cache
def _follows(near: float) -> Points:
    """(468, N): how far each point of the skin goes along when one of the profile network's points is moved by 1."""
    mean, _ = known_shapes()
    places = mean[numbers_seen(near)[_FIRM]]

    def kernel(points: Points) -> Points:
        away = np.linalg.norm(points[:, None] - places, axis=2)
        return np.asarray(np.exp(-((away / REACH) ** 2) / 2))

    return np.asarray(kernel(mean) @ np.linalg.inv(kernel(places) + STIFFNESS * np.eye(len(places))))
