"""A turned face's mesh brought inside the face's contour, where the mesh network let it run over into the wall."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.geometry.mesh_topology import LEFT_EYE_OUTER, MIRROR, RIGHT_EYE_OUTER, SKIN
from toolkit.views.segmentation import SURE, Mask

Points = NDArray[np.float64]
TURNED = 0.5  # sine of the yaw from which the profile line is near the contour
BACK, AHEAD, STEPS = 0.45, 0.25, 71  # head coordinates: where the contour is looked for, from the profile line
UNEVEN = 0.12  # head coordinates: so much more than most of the line no part of it runs over
PASSES = 2  # the line is smoothed, and cuts the corner between nose and forehead in one
_MIDLINE = np.flatnonzero(MIRROR[:SKIN] == np.arange(SKIN))


@dataclass(frozen=True, slots=True)
class Overrun:
    """How far the profile line runs over, from the forehead down."""

    heights: Points  # (N,) pixels along the face
    line: Points  # (N,) pixels, how far ahead the line lies there
    over: Points  # (N,) pixels beyond the contour, 0 where it is inside


def is_turned(fit: Fit) -> bool:
    """Whether the photo's contour is the face's profile; of a face that looks up or down it is not."""
    return bool(abs(fit.rotation[2, 0]) >= TURNED)


def sideways(fit: Fit) -> tuple[Points, Points]:
    """(2,) unit vectors on the photo of a turned head: where its nose points, and down along its face."""
    ahead = -fit.rotation[:2, 2]
    ahead = ahead / np.hypot(*ahead)
    down = np.array([-ahead[1], ahead[0]]) * np.sign(-ahead[1] * fit.rotation[0, 1] + ahead[0] * fit.rotation[1, 1])
    return ahead, down


def profile_line(mesh: Points, fit: Fit) -> tuple[Points, Points]:
    """(N,) heights of the mesh's middle from the forehead down, and (N,) how far ahead it lies there; pixels."""
    ahead, down = sideways(fit)
    line = mesh[_MIDLINE]
    order = np.argsort(line @ down)
    return (line @ down)[order], (line @ ahead)[order]


def near_eye(mesh: Points, fit: Fit) -> float:
    """How far ahead the near eye's outer corner lies, pixels."""
    ahead, _ = sideways(fit)
    return float(mesh[RIGHT_EYE_OUTER if fit.near < 0 else LEFT_EYE_OUTER] @ ahead)


def overrun(mesh: Points, fit: Fit, mask: Mask) -> Overrun:
    """Compare the profile line of a turned head with its contour.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        mask: of the person, (H, W) 0 to 1.
    """
    ahead, down = sideways(fit)
    heights, line = profile_line(mesh, fit)
    reach = np.linspace(-BACK, AHEAD, STEPS) * fit.scale
    rays = (heights[:, None] * down + line[:, None] * ahead)[:, None] + reach[None, :, None] * ahead
    height, width = mask.shape
    x, y = np.clip(rays.round().astype(int), 0, [width - 1, height - 1]).transpose(2, 0, 1)
    inside = np.cumprod(mask[y, x] > SURE, axis=1).astype(bool)
    contour = reach[np.maximum(inside.sum(axis=1) - 1, 0)]
    return Overrun(heights, line, np.where(inside[:, 0], np.maximum(-contour, 0), 0))  # a ray from outside says nothing


def within_contour(mesh: Points, fit: Fit, mask: Mask) -> Points:
    """Squeeze what lies between the near eye and the profile line until the line is on the contour.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        mask: of the person, from :func:`toolkit.views.head_outline.outlined` or the person network.

    Returns:
        (468, 2); as it came where the head is hardly turned or nothing runs over.
    """
    if not is_turned(fit):
        return mesh
    ahead, down = sideways(fit)
    eye, heights = near_eye(mesh, fit), mesh @ down  # neither changes: all moves straight back, and the eye stays
    for _ in range(PASSES):
        found = overrun(mesh, fit, mask)
        over = _smooth(np.minimum(found.over, np.median(found.over) + UNEVEN * fit.scale))
        profile = np.interp(heights, found.heights, _smooth(found.line))
        share = np.clip((mesh @ ahead - eye) / np.maximum(profile - eye, 1e-6), 0, 1)
        mesh = mesh - (share * np.interp(heights, found.heights, over))[:, None] * ahead
    return mesh


def _smooth(values: Points) -> Points:
    padded = np.concatenate([values[:1].repeat(2), values, values[-1:].repeat(2)])
    return np.convolve(padded, np.full(5, 0.2), "valid")
