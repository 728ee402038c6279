"""Fusion of the mesh network's result and the profile network's points for one turned face.

The mesh network covers the whole face but is often wrong on profiles; the profile network has 38 points and was trained
on rendered heads alone. Their errors are independent, so a weighted mean lies nearer to where people mark the points.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import fit_points, load_face_shapes
from toolkit.geometry.mesh_topology import MIRROR, SKIN
from toolkit.landmarks.profiles.network import (
    CHIN_ROW,
    EYE,
    IRIS,
    JAW,
    LIPS,
    MAX_SPREAD,
    NOSE_ROOT_ROW,
    POINTS,
    ProfileLandmarks,
    visible_indices,
)

Points = NDArray[np.float64]
PROFILE_WEIGHT = 0.7  # of the profile network against the mesh: the best of those tried, by a small margin
YAW_RANGE = (25.0, 45.0)  # degrees of yaw over which that weight rises from none to all of it
SPREAD_RANGE = (MAX_SPREAD - 0.003, MAX_SPREAD + 0.003)  # of the profile network, over which it falls to none
MAX_DISTANCE = 0.1  # in nose root-chin distances: beyond, one of the two networks has failed
SMOOTHING_WIDTH = 0.4  # head coordinates: deviation of the Gaussian kernel with which displacements are interpolated
SMOOTHING = 0.5  # regularization of that interpolation
JAW_WEIGHT = 0.3  # of the jaw's points, which are uncertain along the jaw
_SKIN_ROWS = np.flatnonzero(POINTS < SKIN)
_RELIABLE_ROWS = np.flatnonzero(~np.isin(POINTS, [*IRIS, *JAW, *LIPS]))  # the mesh network is better at lips


def fuse(mesh: Points, profile: ProfileLandmarks, yaw: float) -> Points:
    """Move the mesh towards the profile network's points; where the mesh has failed, rebuild it from these points.

    Args:
        mesh: (478, 3) pixels of the photo.
        profile: of the same face.
        yaw: of the mesh, degrees.

    Returns:
        (478, 3) pixels of the photo.
    """
    if mean_distance(mesh, profile) > MAX_DISTANCE:
        return mesh_from_profile(profile) if profile.spread < MAX_SPREAD else mesh
    trust = float(np.interp(profile.spread, SPREAD_RANGE, (1, 0)))
    return _move(mesh, profile, PROFILE_WEIGHT * trust * float(np.interp(abs(yaw), YAW_RANGE, (0, 1))))


def mean_distance(mesh: Points, profile: ProfileLandmarks) -> float:
    """Return the mean distance of a mesh from the profile network's points, in nose root-chin distances."""
    size = np.linalg.norm(profile.points[CHIN_ROW] - profile.points[NOSE_ROOT_ROW])
    off = mesh[profile.indices, :2] - profile.points
    return float(np.linalg.norm(off[_RELIABLE_ROWS], axis=1).mean() / max(float(size), 1e-6))


def mesh_from_profile(profile: ProfileLandmarks) -> Points:
    """Compute a mesh, (478, 3) pixels, by a fit of the shape model to the profile network's points."""
    weights = np.where(np.isin(POINTS, JAW), JAW_WEIGHT, 1.0)
    fit = fit_points(profile.points[_SKIN_ROWS], profile.indices[_SKIN_ROWS], weights[_SKIN_ROWS], profile.near_side)
    skin = fit.project(fit.shape)
    irises = np.repeat([skin[EYE].mean(axis=0), skin[MIRROR[EYE]].mean(axis=0)], 5, axis=0)
    return np.concatenate([skin, irises])


def _move(mesh: Points, profile: ProfileLandmarks, weight: float) -> Points:
    """Translate the mesh, and deform it smoothly, towards the profile network's points."""
    off = profile.points[_RELIABLE_ROWS] - mesh[profile.indices[_RELIABLE_ROWS], :2]
    translation = off.mean(axis=0)
    moved = mesh.copy()
    moved[:, :2] += weight * translation
    moved[:SKIN, :2] += weight * _interpolation(profile.near_side) @ (off - translation)
    return moved


@cache
def _interpolation(near_side: float) -> Points:
    """Compute the (468, N) matrix that interpolates displacements of N profile points at all points of the skin."""
    mean, _ = load_face_shapes()
    centers = mean[visible_indices(near_side)[_RELIABLE_ROWS]]

    def kernel(points: Points) -> Points:
        distance = np.linalg.norm(points[:, None] - centers, axis=2)
        return np.asarray(np.exp(-((distance / SMOOTHING_WIDTH) ** 2) / 2))

    return np.asarray(kernel(mean) @ np.linalg.inv(kernel(centers) + SMOOTHING * np.eye(len(centers))))
