"""What a frontal view shows around the head: hair, ears, neck and background, from the photo.

The photo is warped as if the head had turned about its neck: next to the head's outline it moves along with the
outline, farther out less and less. What a turned head hides on its far side is the mirror image of the near side.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.head_mesh import face_oval
from toolkit.faces.shape_model import PIVOT, Fit
from toolkit.geometry.affine import matrix_scale
from toolkit.photos.types import Image

Points = NDArray[np.float64]
FloatImage = NDArray[np.float32]

GRID = 64  # positions per side at which the warp is computed; it varies slowly
STILL_RADIUS = 1.65  # in radii of the head's outline: from here on the photo does not move along with the outline
OWN_YAW_SINE, MIRRORED_YAW_SINE = (
    0.17,
    0.42,
)  # up to 10 degrees of yaw both sides are the photo's; from 25 one is mirrored
SEAM = 0.08  # of the view's side: half the width of the transition to the mirror image, in the middle


def surroundings(
    photo: Image, positions: Points, head: Points, fit: Fit, matrix: NDArray[np.float64], size: int
) -> Image:
    """Warp a photo so that what surrounds a turned head fits around its frontal view.

    Args:
        photo: (H, W, 3) RGB uint8, with the background.
        positions: (V, 2) pixels of the photo: where it has the vertices of the head, the last 36 of them the outline.
        head: (V, 3) head coordinates of the same vertices, from :func:`toolkit.views.skull.trim_skull`.
        fit: of the face in that photo.
        matrix: (2, 3), head coordinates -> view.
        size: side of the view, pixels.

    Returns:
        (size, size, 3) RGB uint8.
    """
    map_xy = _source_positions(positions, head, fit, matrix, size)
    x, y = (cv2.resize(part, (size, size), interpolation=cv2.INTER_LINEAR) for part in np.moveaxis(map_xy, 2, 0))
    warped = np.asarray(cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    share = _mirrored_share(fit, matrix, size)
    return warped if share is None else _mix(warped, share)


def _source_positions(positions: Points, head: Points, fit: Fit, matrix: NDArray[np.float64], size: int) -> FloatImage:
    """Return (GRID, GRID, 2) x, y: where the photo has what the view shows there."""
    count = len(face_oval())
    source, outline = positions[-count:], head[-count:, :2]
    steps = (np.arange(GRID) + 0.5) * (size / GRID) - 0.5
    across, down = np.meshgrid(steps, steps)
    points = (np.stack([across, down], axis=2) - matrix[:, 2]) / matrix_scale(matrix)  # head coordinates, x and y

    center = outline.mean(axis=0)
    offsets = source - _still(outline, fit)
    order = np.argsort(angles := np.arctan2(*(outline - center).T[::-1]))
    ray = points - center
    angle = np.arctan2(ray[..., 1], ray[..., 0])

    def around(values: Points) -> Points:
        return np.asarray(np.interp(angle, angles[order], values[order], period=2 * math.pi))

    radius = np.linalg.norm(ray, axis=2) / around(np.linalg.norm(outline - center, axis=1))
    fade = np.clip((STILL_RADIUS - radius) / (STILL_RADIUS - 1), 0, 1)
    fade = fade * fade * (3 - 2 * fade)
    moved = np.stack([around(offsets[:, 0]), around(offsets[:, 1])], axis=2)
    return np.asarray(_still(points, fit) + fade[..., None] * moved, np.float32)


def _still(points: Points, fit: Fit) -> Points:
    """Map (..., 2) head coordinates of a head that faces the camera to the photo; it turned about its neck."""
    roll = math.atan2(-fit.rotation[0, 1], fit.rotation[1, 1])
    cos, sin = math.cos(roll), math.sin(roll)
    turned = fit.scale * np.array([[cos, -sin], [sin, cos]])
    neck = fit.project(PIVOT[None])[0, :2]
    return np.asarray((points - PIVOT[:2]) @ turned.T + neck)


def _mirrored_share(fit: Fit, matrix: NDArray[np.float64], size: int) -> FloatImage | None:
    """Return (size,) by column: how much of the view's surroundings is the mirror image; None if nothing is."""
    turn = (abs(float(fit.rotation[2, 0])) - OWN_YAW_SINE) / (MIRRORED_YAW_SINE - OWN_YAW_SINE)
    if turn <= 0:
        return None
    columns = (np.arange(size) - matrix[0, 2]) * -fit.near_side  # pixels from the middle to the far side
    return np.asarray(min(turn, 1.0) * np.clip(0.5 + columns / (2 * SEAM * size), 0, 1), np.float32)


def _mix(warped: Image, share: FloatImage) -> Image:
    mixed = warped + (warped[:, ::-1].astype(np.float32) - warped) * share[None, :, None]
    return np.asarray(np.round(mixed), np.uint8)
