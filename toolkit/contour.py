"""A turned face's mesh brought inside the face's contour, where the mesh network let it run over into the wall."""

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry import LEFT_EYE_OUTER, RIGHT_EYE_OUTER
from toolkit.layers import SURE, Mask
from toolkit.shape import Fit
from toolkit.topology import MIRROR, SKIN

Points = NDArray[np.float64]

TURNED = 0.5  # sine of the yaw from which the profile line is near the contour
BACK, AHEAD, STEPS = 0.45, 0.25, 71  # head coordinates: where the contour is looked for, from the profile line
_MIDLINE = np.flatnonzero(MIRROR[:SKIN] == np.arange(SKIN))


def within_contour(mesh: Points, fit: Fit, mask: Mask) -> Points:
    """Squeeze what lies between the near eye and the profile line until the line is on the contour.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        mask: of the person, from :func:`toolkit.layers.person_mask`.

    Returns:
        (468, 2); as it came where the head is hardly turned or nothing runs over.
    """
    ahead = -fit.rotation[:2, 2]
    if np.hypot(*ahead) < TURNED:
        return mesh
    ahead = ahead / np.hypot(*ahead)
    down = np.array([-ahead[1], ahead[0]]) * np.sign(-ahead[1] * fit.rotation[0, 1] + ahead[0] * fit.rotation[1, 1])
    line = mesh[_MIDLINE]
    reach = np.linspace(-BACK, AHEAD, STEPS) * fit.scale
    rays = line[:, None] + reach[None, :, None] * ahead
    height, width = mask.shape
    x, y = np.clip(rays.round().astype(int), 0, [width - 1, height - 1]).transpose(2, 0, 1)
    inside = np.cumprod(mask[y, x] > SURE, axis=1).astype(bool)
    contour = reach[np.maximum(inside.sum(axis=1) - 1, 0)]
    over = np.where(inside[:, 0], np.maximum(-contour, 0), 0)  # a ray that starts outside says nothing
    order = np.argsort(line @ down)
    height_along, over = (line @ down)[order], _smooth(over[order])
    eye = mesh[RIGHT_EYE_OUTER if fit.near < 0 else LEFT_EYE_OUTER] @ ahead
    profile = np.interp(mesh @ down, height_along, _smooth((line @ ahead)[order]))
    share = np.clip((mesh @ ahead - eye) / np.maximum(profile - eye, 1e-6), 0, 1)
    return np.asarray(mesh - (share * np.interp(mesh @ down, height_along, over))[:, None] * ahead)


def _smooth(values: Points) -> Points:
    padded = np.concatenate([values[:1].repeat(2), values, values[-1:].repeat(2)])
    return np.convolve(padded, np.full(5, 0.2), "valid")
