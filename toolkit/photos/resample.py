"""A square cut out of a photo, and put back, without aliasing."""

import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.affine import compose, crop_to_photo, invert, magnification


class Decoder(Protocol):
    """A photo that is decoded as large as asked: :class:`toolkit.photos.decode.Photo`, or a :class:`Whole` array."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) at full size, pixels."""
        ...

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """(H, W, 3) RGB uint8 at a scale of at least ``scale``, and that scale."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A photo that is an array already: (H, W, 3) RGB uint8."""

    array: NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.array.shape[1], self.array.shape[0]

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """The array, at scale 1 whatever is asked."""
        return self.array, 1.0


def cut_from(photo: Decoder, matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Cut a crop as :func:`cut` does, from a decode that has a pixel for each of the crop's.

    Args:
        photo: still encoded, or a :class:`Whole` array.
        matrix: (2, 3), full photo -> crop.
        size: side of the crop, pixels.
    """
    pixels, scale = photo.pixels(magnification(matrix))
    to_full = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
    return cut(pixels, compose(matrix, to_full), size)


def cut(photo: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Resample a photo into a crop, without aliasing when it shrinks.

    Args:
        photo: (H, W, 3) RGB uint8.
        matrix: (2, 3), photo -> crop.
        size: side of the crop, pixels.

    Returns:
        (size, size, 3) RGB uint8; beyond the photo's edge its border pixels go on.
    """
    shrink = 1 / magnification(matrix)  # photo pixels per crop pixel
    # Sample so many times finer, then average blocks. The kernel alone smooths a fourth of a pixel more than needed.
    fine = max(1, min(math.ceil(shrink - 0.25), 8192 // size))
    finer = matrix * fine
    finer[:, 2] += (fine - 1) / 2  # pixel centres: crop x lies at fine * x + (fine - 1) / 2
    side = size * fine
    warped = cv2.warpAffine(photo, finer, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if fine > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def paste_back(photo: NDArray[np.uint8], crop: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Put a crop, as it is or changed, back into its photo.

    Args:
        photo: (H, W, 3) RGB uint8.
        crop: (S, S, 3) RGB uint8.
        matrix: (2, 3), photo -> crop, as the ledger keeps it.

    Returns:
        A copy of the photo in which the crop's square shows the crop; all else is untouched.
    """
    height, width = photo.shape[:2]
    back = invert(matrix)
    if magnification(matrix) > 1:  # smooth first what shrinks
        smaller = max(1, round(len(crop) / magnification(matrix)))
        ratio = len(crop) / smaller
        crop = np.asarray(cv2.resize(crop, (smaller, smaller), interpolation=cv2.INTER_AREA), np.uint8)
        back = compose(back, np.array([[ratio, 0, ratio / 2 - 0.5], [0, ratio, ratio / 2 - 0.5]]))
    painted = cv2.warpAffine(crop, back, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    corners = crop_to_photo(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * float(len(crop)) - 0.5, invert(back))
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners * 16).astype(np.int32), (255,), shift=4)
    return np.where(inside[:, :, None] > 0, painted, photo).astype(np.uint8)
