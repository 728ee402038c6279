"""Sampling a square of a photo as a network's input.

MediaPipe maps the corners of the square to the corners of the input and ignores the half pixel between a pixel's edge
and its center, both on the way in and on the way back. The networks' results are defined by that, so it is kept here.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.landmarks.detection import Region
from toolkit.photos.types import Image

Matrix = NDArray[np.float64]
STEP_BITS = 5
STEPS_PER_PIXEL = 1 << STEP_BITS  # of the positions at which a photo is sampled
MAX_POSITION = 32_000  # pixels: OpenCV stores positions as 16-bit integers


def square_matrix(region: Region, side: int, flip: bool = False) -> Matrix:
    """Return the (2, 3) matrix from a square input of ``side`` pixels to the photo.

    Args:
        region: the square, in pixels of the photo.
        side: of the input, pixels.
        flip: sample the square as it lies in the horizontally flipped photo. Points of the input that this matrix maps
            to the photo still have to change sides.
    """
    scale = region.side / side
    cos, sin = math.cos(region.angle) * scale, math.sin(region.angle) * scale
    across = -1.0 if flip else 1.0
    linear = np.array([[across * cos, -sin], [across * sin, cos]])
    return np.column_stack([linear, [region.x, region.y] - linear @ [side / 2, side / 2]])


def letterbox_matrix(width: int, height: int, side: int) -> Matrix:
    """Return the (2, 3) matrix from a square input to a whole photo, centered in it, with bars."""
    longer = max(width, height)
    scale = longer / side
    return np.array([[scale, 0.0, (width - longer) / 2], [0.0, scale, (height - longer) / 2]])


def sample(photo: Image, matrix: Matrix, side: int, border: int) -> Image:
    """Sample an input bilinearly, at positions rounded to 1/32 of a pixel.

    MediaPipe's OpenCV rounds so, too, and the mesh network answers to the difference with .1 % of the face. OpenCV's
    own functions for this differ between its versions; these positions are the same in all of them.

    Args:
        photo: (H, W, 3) RGB uint8, less than 32,767 pixels on each side.
        matrix: (2, 3), input -> photo.
        side: of the input, pixels.
        border: ``cv2.BORDER_REPLICATE`` or ``cv2.BORDER_CONSTANT`` (black), beyond the photo's edge.

    Returns:
        (side, side, 3) RGB uint8.
    """
    x, y = _positions(matrix * STEPS_PER_PIXEL, np.arange(side, dtype=np.float64))
    pixels = np.empty((side, side, 2), np.int16)
    np.right_shift(x, STEP_BITS, out=pixels[..., 0], casting="unsafe")
    np.right_shift(y, STEP_BITS, out=pixels[..., 1], casting="unsafe")
    fractions = ((y & STEPS_PER_PIXEL - 1) << STEP_BITS | (x & STEPS_PER_PIXEL - 1)).astype(np.uint16)
    return np.asarray(cv2.remap(photo, pixels, fractions, cv2.INTER_LINEAR, borderMode=border), np.uint8)


def _positions(matrix: Matrix, places: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return x and y of all pixels of the input in the photo, whole numbers of steps, broadcast to (side, side)."""
    x, y = matrix[:, :1] * places + matrix[:, 2:]
    if not matrix[0, 1] and not matrix[1, 0]:  # upright: rows and columns on their own
        x, y = x[None, :], (matrix[1, 1] * places + matrix[1, 2])[:, None]
    else:
        x, y = (row[None, :] + along * places[:, None] for row, along in zip((x, y), matrix[:, 1], strict=True))
    limit = MAX_POSITION * STEPS_PER_PIXEL  # squares far outside the photo show its edge
    return tuple(np.clip(np.rint(one), -limit, limit).astype(np.int32) for one in (x, y))  # type: ignore[return-value]


def to_photo(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Map (..., 2) points of the input to the photo by its (2, 3) matrix."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
