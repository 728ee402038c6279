"""Square crops of a photo, resampled without aliasing, and pasted back."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.affine import compose, crop_to_photo, invert, matrix_scale
from toolkit.photos.types import Image

MAX_SAMPLING_SIDE = 8192  # pixels: of the image from which a crop is averaged


class Decoder(Protocol):
    """A photo at a choice of scales: :class:`toolkit.photos.decode.Photo` or :class:`ArrayPhoto`."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) at full size, pixels."""
        ...

    def pixels(self, scale: float = 1.0) -> tuple[Image, float]:
        """Return the photo, (H, W, 3) RGB uint8, at a scale of at least ``scale``, and its scale."""
        ...


@dataclass(frozen=True, slots=True)
class ArrayPhoto:
    """An array, (H, W, 3) RGB uint8, with the interface of a :class:`toolkit.photos.decode.Photo`."""

    array: Image

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.array.shape[1], self.array.shape[0]

    def pixels(self, scale: float = 1.0) -> tuple[Image, float]:
        """Return the array, and scale 1."""
        return self.array, 1.0


def sample_reduced(
    reduced: NDArray[Any], x: NDArray[np.float32], y: NDArray[np.float32], shape: tuple[int, ...]
) -> NDArray[Any]:
    """Sample a reduced photo at pixels of the whole one.

    Args:
        reduced: (h, w) or (h, w, C).
        x: (...) pixels of the whole photo; beyond its edge border pixels are repeated.
        y: likewise.
        shape: of the whole photo, (H, W, ...).
    """
    small_x = (x + 0.5) * (reduced.shape[1] / shape[1]) - 0.5
    small_y = (y + 0.5) * (reduced.shape[0] / shape[0]) - 0.5
    return np.asarray(cv2.remap(reduced, small_x, small_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def crop_photo(photo: Decoder, matrix: NDArray[np.float64], size: int) -> Image:
    """Resample a photo into a crop, as :func:`warp_crop` does, decoded no larger than the crop needs.

    Args:
        photo: an encoded photo or an :class:`ArrayPhoto`.
        matrix: (2, 3), full-size photo -> crop.
        size: side of the crop, pixels.
    """
    pixels, scale = photo.pixels(matrix_scale(matrix))
    to_full_size = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
    return warp_crop(pixels, compose(matrix, to_full_size), size)


def warp_crop(photo: Image, matrix: NDArray[np.float64], size: int) -> Image:
    """Resample a photo into a crop, without aliasing when it shrinks.

    Args:
        photo: (H, W, 3) RGB uint8.
        matrix: (2, 3), photo -> crop.
        size: side of the crop, pixels.

    Returns:
        (size, size, 3) RGB uint8; beyond the photo's edge its border pixels are repeated.
    """
    shrink = 1 / matrix_scale(matrix)  # photo pixels per crop pixel
    # Supersample by a factor, then average blocks. Up to 1.25 the bilinear kernel alone is smooth enough.
    factor = max(1, min(math.ceil(shrink - 0.25), MAX_SAMPLING_SIDE // size))
    finer = matrix * factor
    finer[:, 2] += (factor - 1) / 2  # pixel centers: crop x lies at factor * x + (factor - 1) / 2
    side = size * factor
    warped = cv2.warpAffine(photo, finer, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if factor > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def crop_around(
    photo: Image, center: NDArray[np.float64], half_side: float, reduction: float
) -> tuple[Image, NDArray[np.float64], float]:
    """Crop a square of a photo and reduce it to about the resolution that is needed.

    Sampling single pixels of a much larger photo would alias. The crop is never enlarged.

    Args:
        photo: (H, W, 3) RGB uint8.
        center: (2 or more,) pixels, x and y first.
        half_side: half the side of the square, pixels; the photo's edges may cut it short.
        reduction: pixels of the photo per pixel that is needed.

    Returns:
        The crop, (h, w, 3) RGB uint8; its top left corner in the photo, (2,) pixels; its scale. A point of the photo
        lies at ``(xy - corner + 0.5) * scale - 0.5`` in the crop.
    """
    height, width = photo.shape[:2]
    left, top = np.clip(np.floor(center[:2] - half_side), 0, [width - 2, height - 2]).astype(int)
    right, bottom = np.clip(np.ceil(center[:2] + half_side), [left + 2, top + 2], [width, height]).astype(int)
    crop, corner = np.ascontiguousarray(photo[top:bottom, left:right]), np.array([left, top], np.float64)
    if reduction < 1.5:
        return crop, corner, 1.0
    size = max(2, round(crop.shape[1] / reduction)), max(2, round(crop.shape[0] / reduction))
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8), corner, size[0] / crop.shape[1]


def paste_back(photo: Image, crop: Image, matrix: NDArray[np.float64]) -> Image:
    """Paste a crop, possibly changed, back into its photo.

    Args:
        photo: (H, W, 3) RGB uint8.
        crop: (S, S, 3) RGB uint8.
        matrix: (2, 3), photo -> crop, as stored in the ledger.

    Returns:
        A copy of the photo in which the crop's square shows the crop; all other pixels are unchanged.
    """
    height, width = photo.shape[:2]
    to_photo = invert(matrix)
    if matrix_scale(matrix) > 1:  # smooth what will shrink
        smaller = max(1, round(len(crop) / matrix_scale(matrix)))
        ratio = len(crop) / smaller
        crop = np.asarray(cv2.resize(crop, (smaller, smaller), interpolation=cv2.INTER_AREA), np.uint8)
        to_photo = compose(to_photo, np.array([[ratio, 0, ratio / 2 - 0.5], [0, ratio, ratio / 2 - 0.5]]))
    warped = cv2.warpAffine(crop, to_photo, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    corners = crop_to_photo(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * float(len(crop)) - 0.5, invert(to_photo))
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners * 16).astype(np.int32), (255,), shift=4)
    return np.where(inside[:, :, None] > 0, warped, photo).astype(np.uint8)
