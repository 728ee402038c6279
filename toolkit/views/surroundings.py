"""What a frontal view shows around the head: hair, ears, neck and background, from the photo.

The photo is warped as if the head had turned about its neck: next to the head's outline it moves along with the
outline, farther out less and less. What a turned head hides on its far side is the mirror image of the near side. The
throat of a turned head ends at its contour: below the chin the view continues it with the person's own colors.
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
OWN_YAW_SINE, MIRRORED_YAW_SINE = 0.17, 0.42  # up to 10 degrees of yaw both sides are the photo's; from 25 one is not
SEAM = 0.08  # of the view's side: half the width of the transition to the mirror image, in the middle
OUT_OF_FOCUS, EDGE_FADE = 12, 0.04  # pixels of the photo out of focus; of its side: from sharp to that, beyond the edge
NECK_TOP, NECK_HALF_WIDTH = (0.85, 1.0), (0.35, 0.5)  # head coordinates: where the person's colors begin, and are all


def surroundings(
    photo: Image,
    person_colors: Image,
    positions: Points,
    head: Points,
    fit: Fit,
    matrix: NDArray[np.float64],
    size: int,
) -> Image:
    """Warp a photo so that what surrounds a turned head fits around its frontal view.

    Args:
        photo: (H, W, 3) RGB uint8, with the background.
        person_colors: (H, W, 3), the photo with the background replaced by the person's nearest colors.
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
    warped = _sample(photo, x, y)
    turn = (abs(float(fit.rotation[2, 0])) - OWN_YAW_SINE) / (MIRRORED_YAW_SINE - OWN_YAW_SINE)
    if turn <= 0:
        return warped
    top, share = _neck_share(matrix, size)
    if len(share):
        warped[top:] = _mix(warped[top:], _sample(person_colors, x[top:], y[top:]), min(turn, 1.0) * share)
    return _mix(warped, warped[:, ::-1], min(turn, 1.0) * _mirrored_share(fit, matrix, size))


def _sample(photo: Image, x: FloatImage, y: FloatImage) -> Image:
    """Sample a photo; beyond its edges it fades to its colors out of focus, because repeated pixels are streaks."""
    sampled = np.asarray(cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)
    height, width = photo.shape[:2]
    beyond = np.maximum(np.maximum(-x, x - width + 1), np.maximum(-y, y - height + 1))
    if beyond.max() <= 0:
        return sampled
    coarse = cv2.resize(photo, (OUT_OF_FOCUS, OUT_OF_FOCUS), interpolation=cv2.INTER_AREA)
    coarse_x, coarse_y = ((p + 0.5) * (OUT_OF_FOCUS / side) - 0.5 for p, side in ((x, width), (y, height)))
    blurred = cv2.remap(coarse, coarse_x, coarse_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    share = np.clip(beyond / (EDGE_FADE * max(height, width)), 0, 1)
    return _mix(sampled, np.asarray(blurred, np.uint8), share)


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


def _mirrored_share(fit: Fit, matrix: NDArray[np.float64], size: int) -> FloatImage:
    """Return (1, size) by column: how much of the surroundings of a turned head is the mirror image."""
    columns = (np.arange(size) - matrix[0, 2]) * -fit.near_side  # pixels from the middle to the far side
    return np.asarray(np.clip(0.5 + columns / (2 * SEAM * size), 0, 1), np.float32)[None]


def _neck_share(matrix: NDArray[np.float64], size: int) -> tuple[int, FloatImage]:
    """Return the first row of the neck, and how much of each pixel from there on is the person's colors: (h, size)."""
    x, y = ((np.arange(size) - offset) / matrix_scale(matrix) for offset in matrix[:, 2])
    top = int(np.searchsorted(y, NECK_TOP[0]))
    share = np.interp(y[top:], NECK_TOP, (0, 1))[:, None] * np.interp(np.abs(x), NECK_HALF_WIDTH, (1, 0))
    return top, np.asarray(share, np.float32)


def _mix(one: Image, other: Image, share: FloatImage) -> Image:
    mixed = one + (other.astype(np.float32) - one) * share[..., None]
    return np.asarray(np.round(mixed), np.uint8)
