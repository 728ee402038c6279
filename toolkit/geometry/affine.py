"""Affine matrices, (2, 3) photo -> crop: composed, inverted, fitted to points."""

import math

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoRejected


def magnification(matrix: NDArray[np.float64]) -> float:
    """Crop pixels per photo pixel of a (2, 3) matrix photo -> crop."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))


def crop_to_photo(crop_xy: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry points of a crop back onto its photo: (N, 2) crop pixels and the (2, 3) matrix photo -> crop."""
    back = invert(matrix)
    return np.asarray(crop_xy @ back[:, :2].T + back[:, 2])


def fit_similarity(photo_xy: NDArray[np.float64], crop_xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find the rotation, uniform scale and shift that best carry photo points onto crop points.

    "Best" is least squares in crop pixels. A mirrored result is not among the candidates:
    a flipped face shows as a large residual, not as a plausible wrong crop.

    Args:
        photo_xy: (N, 2), pixels of the photo.
        crop_xy: (N, 2), pixels of the crop, same order of points.

    Returns:
        (2, 3) matrix M; ``crop_xy ~ photo_xy @ M[:, :2].T + M[:, 2]``.

    Raises:
        PhotoRejected: ``bad-mesh``, all photo points coincide.

    Source: in the plane, a similarity is one complex multiplication and one addition, so the
    least-squares solution is the complex regression of crop on photo points.
    """
    photo_mean, crop_mean = photo_xy.mean(axis=0), crop_xy.mean(axis=0)
    photo = (photo_xy - photo_mean) @ [1, 1j]
    crop = (crop_xy - crop_mean) @ [1, 1j]
    spread = float(np.vdot(photo, photo).real)
    if spread < 1e-12:  # px^2
        raise PhotoRejected(
            "bad-mesh", f"all {len(photo_xy)} points lie at {photo_mean.round(1)}; two distinct ones are needed"
        )
    turn = np.vdot(photo, crop) / spread
    linear = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([linear, crop_mean - linear @ photo_mean])


def widened(matrix: NDArray[np.float64], size: int, margin: float) -> NDArray[np.float64]:
    """The (2, 3) matrix that leaves ``margin`` sides of the crop around what ``matrix`` fills; same size in pixels."""
    shrink = 1 / (1 + 2 * margin)
    wide = matrix * shrink
    wide[:, 2] += (1 - shrink) * (size - 1) / 2
    return wide


def invert(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) matrix crop -> photo for a (2, 3) matrix photo -> crop."""
    linear = np.linalg.inv(matrix[:, :2])
    return np.column_stack([linear, -linear @ matrix[:, 2]])


def compose(outer: NDArray[np.float64], inner: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) matrix that does what ``inner`` does, then what ``outer`` does."""
    return np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]])
