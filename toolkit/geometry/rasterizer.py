"""A triangle rasterizer with a depth buffer, on NumPy arrays."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
EDGE_TOLERANCE = 1e-4  # of a triangle's height: pixels so little outside count as inside, or rounding leaves gaps


@dataclass(frozen=True, slots=True)
class Raster:
    """The nearest triangle of a mesh at each pixel of an image."""

    triangle: NDArray[np.int32]  # (H, W) index of the triangle, -1 where there is none
    weights: Float  # (H, W, 3) barycentric coordinates in it; zeros where there is none
    depth: Float  # (H, W), interpolated z of the vertices; infinite where there is none

    def interpolate(self, triangles: NDArray[np.intp], values: Float) -> Float:
        """Interpolate values of the vertices at the pixels.

        Args:
            triangles: (T, 3), those that were rasterized.
            values: (V, C), one row per vertex.

        Returns:
            (H, W, C), zeros where there is no triangle.
        """
        flat = self.triangle.reshape(-1)
        covered = np.flatnonzero(flat >= 0)
        corners, weights = triangles[flat[covered]], self.weights.reshape(-1, 3)[covered]
        interpolated = np.zeros((len(flat), values.shape[1]), np.float32)
        interpolated[covered] = sum(weights[:, k, None] * values[corners[:, k]] for k in range(3))
        return interpolated.reshape(*self.triangle.shape, -1)


def rasterize(points: Float, triangles: NDArray[np.intp], size_wh: tuple[int, int]) -> Raster:
    """Find the nearest triangle at each pixel's center.

    All pixels of all triangles' bounding boxes are tested at once: for a face of a thousand small
    triangles these are about twice the pixels that are covered.

    Args:
        points: (V, 3) x, y in pixels, z away from the camera.
        triangles: (T, 3) vertex indices, either winding.
        size_wh: (width, height) of the image.
    """
    width, height = size_wh
    corners = np.asarray(points, np.float32)[triangles]
    low = np.ceil(np.maximum(corners[:, :, :2].min(axis=1), 0)).astype(np.int32)
    high = np.floor(np.minimum(corners[:, :, :2].max(axis=1), (width - 1, height - 1))).astype(np.int32)
    spans = np.maximum(high - low + 1, 0)
    planes, flat = _planes(corners)
    kept = np.flatnonzero((spans.prod(axis=1) > 0) & ~flat)
    counts = spans[kept].prod(axis=1)
    owner = np.repeat(np.arange(len(kept)), counts)  # index into `kept` of each candidate pixel
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows, columns = np.divmod(within, spans[kept, 0][owner])
    columns, rows = columns + low[kept, 0][owner], rows + low[kept, 1][owner]
    x, y = columns.astype(np.float32), rows.astype(np.float32)
    v, w = (planes[kept, k, 0][owner] * x + planes[kept, k, 1][owner] * y + planes[kept, k, 2][owner] for k in (0, 1))
    inside = np.flatnonzero((v >= -EDGE_TOLERANCE) & (w >= -EDGE_TOLERANCE) & (v + w <= 1 + EDGE_TOLERANCE))
    number, v, w = kept[owner[inside]], v[inside], w[inside]
    weights = np.stack([1 - v - w, v, w], axis=1)
    z = sum(weights[:, k] * corners[number, k, 2] for k in range(3))
    return _nearest(number, rows[inside] * width + columns[inside], weights, z, (height, width))


def _planes(corners: Float) -> tuple[Float, NDArray[np.bool_]]:
    """Return (T, 2, 3) coefficients a, b, c and (T,) whether a triangle has no area.

    The barycentric coordinates of the second and third corner at (x, y) are ``a x + b y + c``.
    """
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k, :2].T for k in range(3))
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    flat = np.abs(twice) < 1e-6
    scale = 1 / np.where(flat, 1, twice)
    second = np.stack([cy - ay, ax - cx, (cx - ax) * ay - (cy - ay) * ax], axis=1)
    third = np.stack([ay - by, bx - ax, (by - ay) * ax - (bx - ax) * ay], axis=1)
    return np.asarray(np.stack([second, third], axis=1) * scale[:, None, None], np.float32), flat


def _nearest(
    number: NDArray[np.intp], pixel: NDArray[np.intp], weights: Float, z: Float, shape: tuple[int, int]
) -> Raster:
    """Keep, of (N,) candidates given by triangle and flat pixel index, the nearest at each pixel."""
    depth = np.full(shape[0] * shape[1], np.inf, np.float32)
    np.minimum.at(depth, pixel, z)
    front = np.flatnonzero(z <= depth[pixel])
    triangle = np.full(len(depth), -1, np.int32)
    barycentric = np.zeros((len(depth), 3), np.float32)
    triangle[pixel[front]], barycentric[pixel[front]] = number[front], weights[front]
    return Raster(triangle.reshape(shape), barycentric.reshape(*shape, 3), depth.reshape(shape))


def sample_bilinear(image: NDArray[np.uint8], xy: Float) -> Float:
    """Sample an image bilinearly; outside it the border pixels are repeated.

    Args:
        image: (H, W, 3) RGB uint8.
        xy: (h, w, 2), pixels of the image.

    Returns:
        (h, w, 3) float32.
    """
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.remap(image, xy[..., 0], xy[..., 1], cv2.INTER_LINEAR, borderMode=border), np.float32)
