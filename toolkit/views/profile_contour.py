"""Fit the mesh of a turned face to the face's contour, where the mesh network placed it over the background."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.geometry.mesh_topology import LEFT_EYE_OUTER, MIRROR, RIGHT_EYE_OUTER, SKIN
from toolkit.views.segmentation import PROBABLE_PERSON, Mask

Points = NDArray[np.float64]
Values = NDArray[np.float64]

# Sine of the yaw from which the mesh's middle line is near the contour in the photo: 58 degrees. Of a head turned less
# the contour is the far cheek, and its far eye is in sight.
MIN_YAW_SINE = 0.85
SEARCH_BACK, SEARCH_AHEAD = 0.45, 0.25  # head coordinates: range of the contour search, from the profile line
SEARCH_STEPS = 71  # samples in that range
MAX_EXCESS = 0.12  # head coordinates: bound on a single vertex's overrun, above the median of the line
PASSES = 2  # one pass cuts the corner between nose and forehead, because the line is smoothed
_MIDDLE_VERTICES = np.flatnonzero(MIRROR[:SKIN] == np.arange(SKIN))


@dataclass(frozen=True, slots=True)
class Overrun:
    """How far the profile line of a mesh lies outside the contour in the photo, from the forehead down."""

    heights: Values  # (N,) pixels down along the face
    line: Values  # (N,) pixels: position of the profile line along the facing direction
    excess: Values  # (N,) pixels beyond the contour; 0 where the line is inside


def is_turned(fit: Fit) -> bool:
    """Return whether the face is turned sideways so far that its profile is the contour in the photo.

    A face that looks up or down is not turned in this sense.
    """
    return bool(abs(fit.rotation[2, 0]) >= MIN_YAW_SINE)


def profile_axes(fit: Fit) -> tuple[Values, Values]:
    """Return two (2,) unit vectors in a photo of a turned head: ``ahead``, where it faces, and ``down`` the face."""
    ahead = -fit.rotation[:2, 2]
    ahead = ahead / np.hypot(*ahead)
    down = np.array([-ahead[1], ahead[0]]) * np.sign(-ahead[1] * fit.rotation[0, 1] + ahead[0] * fit.rotation[1, 1])
    return ahead, down


def profile_line(mesh: Points, fit: Fit) -> tuple[Values, Values]:
    """Return the middle line of a mesh, (468, 2) pixels, from the forehead down: (N,) heights and (N,) positions ahead.

    Both are pixels along the :func:`profile_axes`.
    """
    ahead, down = profile_axes(fit)
    line = mesh[_MIDDLE_VERTICES]
    order = np.argsort(line @ down)
    return (line @ down)[order], (line @ ahead)[order]


def near_eye_position(mesh: Points, fit: Fit) -> float:
    """Return the position of the near eye's outer corner along the facing direction, pixels."""
    ahead, _ = profile_axes(fit)
    return float(mesh[RIGHT_EYE_OUTER if fit.near_side < 0 else LEFT_EYE_OUTER] @ ahead)


def measure_overrun(mesh: Points, fit: Fit, mask: Mask) -> Overrun:
    """Measure how far the profile line of a turned head lies outside a mask.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        mask: (H, W) 0 to 1, of the person.
    """
    ahead, down = profile_axes(fit)
    heights, line = profile_line(mesh, fit)
    offsets = np.linspace(-SEARCH_BACK, SEARCH_AHEAD, SEARCH_STEPS) * fit.scale
    rays = (heights[:, None] * down + line[:, None] * ahead)[:, None] + offsets[None, :, None] * ahead
    height, width = mask.shape
    x, y = np.clip(rays.round().astype(int), 0, [width - 1, height - 1]).transpose(2, 0, 1)
    inside = np.cumprod(mask[y, x] > PROBABLE_PERSON, axis=1).astype(bool)
    contour = offsets[np.maximum(inside.sum(axis=1) - 1, 0)]
    # A ray that starts outside the mask meets no contour: no overrun is known there.
    return Overrun(heights, line, np.where(inside[:, 0], np.maximum(-contour, 0), 0))


def fit_mesh_to_contour(mesh: Points, fit: Fit, mask: Mask) -> Points:
    """Compress the part of a mesh between the near eye and the profile line until the line lies on the contour.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        mask: (H, W) 0 to 1, of the person: from :func:`toolkit.views.head_outline.head_outline_mask` or
            :func:`toolkit.views.segmentation.person_mask`.

    Returns:
        (468, 2) pixels; unchanged where the line is inside.
    """
    ahead, down = profile_axes(fit)
    eye, heights = near_eye_position(mesh, fit), mesh @ down  # constant: vertices move along ``ahead``, the eye not
    for _ in range(PASSES):
        found = measure_overrun(mesh, fit, mask)
        excess = _smooth(np.minimum(found.excess, np.median(found.excess) + MAX_EXCESS * fit.scale))
        profile = np.interp(heights, found.heights, _smooth(found.line))
        share = np.clip((mesh @ ahead - eye) / np.maximum(profile - eye, 1e-6), 0, 1)
        mesh = mesh - (share * np.interp(heights, found.heights, excess))[:, None] * ahead
    return mesh


def _smooth(values: Values) -> Values:
    padded = np.concatenate([values[:1].repeat(2), values, values[-1:].repeat(2)])
    return np.convolve(padded, np.full(5, 0.2), "valid")
