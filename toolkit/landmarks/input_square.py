"""Sampling a square of a photo as a network's input.

MediaPipe maps the corners of the square to the corners of the input and ignores the half pixel between a pixel's edge
and its center, both on the way in and on the way back. The networks' results are defined by that, so it is kept here.
"""

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.landmarks.detection import Region
from toolkit.photos.types import Image

Matrix = NDArray[np.float64]
Maps = tuple[NDArray[np.int16], NDArray[np.uint16]]
STEP_BITS = 5
STEPS_PER_PIXEL = 1 << STEP_BITS  # of the positions at which a photo is sampled
BLOCK = 64  # columns whose positions warpPerspective computes from one sum
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


def sample_square(photo: Image, matrix: Matrix, side: int) -> Image:
    """Sample a square bilinearly, at positions rounded to 1/32 of a pixel, as MediaPipe's OpenCV does.

    The mesh network answers to the difference with .1 % of the face. OpenCV's own functions for this differ between
    versions; these positions are the same in all of them.

    Args:
        photo: (H, W, 3) RGB uint8, less than 32,767 pixels on each side.
        matrix: (2, 3), input -> photo.
        side: of the input, pixels.

    Returns:
        (side, side, 3) RGB uint8; beyond the photo's edge its border pixels are repeated.
    """
    steps, places = matrix * STEPS_PER_PIXEL, np.arange(side, dtype=np.float64)
    along, down = steps[:, :1] * places + steps[:, 2:], steps[:, 1:2] * places
    limit = MAX_POSITION * STEPS_PER_PIXEL  # squares far outside the photo show its edge
    x, y = (
        np.clip(np.rint(row + column[:, None]), -limit, limit).astype(np.int32)
        for row, column in zip(along, down, strict=True)
    )
    return _remap(photo, _maps(x, y, side), cv2.BORDER_REPLICATE)


def sample_letterbox(photo: Image, side: int) -> Image:
    """Sample a whole photo with black bars, as :func:`letterbox_matrix` maps it; see :func:`sample_square`."""
    return _remap(photo, _letterbox_maps(photo.shape[1], photo.shape[0], side), cv2.BORDER_CONSTANT)


@lru_cache(maxsize=32)  # photos of a collection have few sizes
def _letterbox_maps(width: int, height: int, side: int) -> Maps:
    """Compute the positions in the order of OpenCV's warpPerspective, which MediaPipe calls with float32 corners.

    In a letterbox many positions lie exactly between two steps. Which one is taken depends on the last bits of the
    sums, and the box that the detector finds moves by .1 % with it.
    """
    corners = np.array([[0, side], [0, 0], [side, 0], [side, side]], np.float32)
    of_photo = to_photo(corners.astype(np.float64), letterbox_matrix(width, height, side)).astype(np.float32)
    matrix = cv2.invert(cv2.getPerspectiveTransform(of_photo, corners))[1]
    places = np.arange(side)
    block, inside = (places // BLOCK * BLOCK).astype(np.float64), (places % BLOCK).astype(np.float64)
    x, y, w = (row[0] * block + row[1] * places[:, None].astype(np.float64) + row[2] for row in matrix)
    w = STEPS_PER_PIXEL / (w + matrix[2, 0] * inside)
    x, y = ((start + row[0] * inside) * w for start, row in zip((x, y), matrix[:2], strict=True))
    return _maps(np.rint(x).astype(np.int32), np.rint(y).astype(np.int32), side)


def _maps(x: NDArray[np.int32], y: NDArray[np.int32], side: int) -> Maps:
    """Split positions, in steps, into whole pixels and indices of OpenCV's table of bilinear weights."""
    pixels = np.empty((side, side, 2), np.int16)
    np.right_shift(x, STEP_BITS, out=pixels[..., 0], casting="unsafe")
    np.right_shift(y, STEP_BITS, out=pixels[..., 1], casting="unsafe")
    return pixels, ((y & STEPS_PER_PIXEL - 1) << STEP_BITS | (x & STEPS_PER_PIXEL - 1)).astype(np.uint16)


def _remap(photo: Image, maps: Maps, border: int) -> Image:
    return np.asarray(cv2.remap(photo, *maps, cv2.INTER_LINEAR, borderMode=border), np.uint8)


def to_photo(points: NDArray[np.float64], matrix: Matrix) -> NDArray[np.float64]:
    """Map (..., 2) points of the input to the photo by its (2, 3) matrix."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])
