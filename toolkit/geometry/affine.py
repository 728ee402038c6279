"""Affine matrices, (2, 3), that map points of a photo to points of a crop."""

import math

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected


def matrix_scale(matrix: NDArray[np.float64]) -> float:
    """Return the scale of a (2, 3) matrix photo -> crop: crop pixels per photo pixel."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))


def crop_to_photo(crop_xy: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map points of a crop to its photo.

    Args:
        crop_xy: (N, 2), pixels of the crop.
        matrix: (2, 3), photo -> crop.

    Returns:
        (N, 2), pixels of the photo.
    """
    inverse = invert(matrix)
    return np.asarray(crop_xy @ inverse[:, :2].T + inverse[:, 2])


def fit_similarity(photo_xy: NDArray[np.float64], crop_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the rotation, uniform scale and translation that best map photo points to crop points.

    "Best" is least squares in crop pixels. Reflections are excluded: a flipped face gives a large
    residual, not a plausible wrong crop.

    Args:
        photo_xy: (N, 2), pixels of the photo.
        crop_xy: (N, 2), pixels of the crop, same order of points.

    Returns:
        (2, 3) matrix M; ``crop_xy ~ photo_xy @ M[:, :2].T + M[:, 2]``.

    Raises:
        PhotoRejected: ``bad-mesh``, all photo points coincide.

    Source: a similarity of the plane is one complex multiplication and one addition, so the
    least-squares solution is the complex regression of crop points on photo points.
    """
    photo_mean, crop_mean = photo_xy.mean(axis=0), crop_xy.mean(axis=0)
    photo = (photo_xy - photo_mean) @ [1, 1j]
    crop = (crop_xy - crop_mean) @ [1, 1j]
    spread = float(np.vdot(photo, photo).real)
    if spread < 1e-12:  # px^2
        raise PhotoRejected(
            "bad-mesh", f"all {len(photo_xy)} points lie at {photo_mean.round(1)}; two distinct ones are needed"
        )
    rotation = np.vdot(photo, crop) / spread
    linear = np.array([[rotation.real, -rotation.imag], [rotation.imag, rotation.real]])
    return np.column_stack([linear, crop_mean - linear @ photo_mean])


def add_margin(matrix: NDArray[np.float64], size: int, margin: float) -> NDArray[np.float64]:
    """Return the matrix of a crop that shows more of the photo around the same square.

    Args:
        matrix: (2, 3), photo -> crop.
        size: side of the crop, pixels; it stays the same.
        margin: what is added on each side, as a share of the square's side.

    Returns:
        (2, 3).
    """
    shrink = 1 / (1 + 2 * margin)
    wide = matrix * shrink
    wide[:, 2] += (1 - shrink) * (size - 1) / 2
    return wide


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) matrix crop -> photo for a (2, 3) matrix photo -> crop."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (2, 3) matrix that applies ``inner`` first, then ``outer``."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])
