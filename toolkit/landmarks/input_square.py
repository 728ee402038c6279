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
    """Sample an input bilinearly.

    Args:
        photo: (H, W, 3) RGB uint8.
        matrix: (2, 3), input -> photo.
        side: of the input, pixels.
        border: ``cv2.BORDER_REPLICATE`` or ``cv2.BORDER_CONSTANT`` (black), beyond the photo's edge.

    Returns:
        (side, side, 3) RGB uint8.
    """
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(photo, matrix, (side, side), flags=flags, borderMode=border), np.uint8)


def to_photo(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Map (..., 2) points of the input to the photo by its (2, 3) matrix."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
