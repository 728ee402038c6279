"""A rasterizer for batches of meshes on any device: :mod:`toolkit.geometry.rasterizer` for tensors."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

EDGE_TOLERANCE = 1e-4  # of a triangle's height: pixels so little outside count as inside, or rounding leaves gaps


@dataclass(frozen=True, slots=True)
class Raster:
    """The nearest triangle of its mesh at each pixel of a batch of images."""

    triangle: Tensor  # (B, H, W) int64, index of the triangle; -1 where there is none
    weights: Tensor  # (B, H, W, 3) barycentric coordinates; zeros where there is none
    depth: Tensor  # (B, H, W), interpolated z; infinite where there is none

    def interpolate(self, triangles: Tensor, values: Tensor) -> Tensor:
        """Interpolate values of the vertices, (B, V, C), at the pixels: (B, H, W, C), zeros where there is no triangle.

        Args:
            triangles: (T, 3) int64 vertex indices, as for :func:`rasterize`.
            values: (B, V, C).
        """
        batch, height, width = self.triangle.shape
        corners = triangles[self.triangle.clamp_min(0)].reshape(batch, -1)
        picked = values.gather(1, corners[..., None].expand(-1, -1, values.shape[2]))
        picked = picked.reshape(batch, height, width, 3, values.shape[2])
        return (self.weights[..., None] * picked).sum(dim=3)


def rasterize(points: Tensor, triangles: Tensor, size_wh: tuple[int, int]) -> Raster:
    """Find the nearest triangle at each pixel's center, for all meshes of a batch at once.

    The pixels of all bounding boxes form one flat list; they are tested, and an atomic minimum keeps the nearest. There
    is no loop over triangles or meshes.

    Args:
        points: (B, V, 3) x and y in pixels, z away from the camera; float32.
        triangles: (T, 3) int64 vertex indices, the same for all meshes.
        size_wh: (width, height) of the images.
    """
    width, height = size_wh
    batch, count = len(points), len(triangles)
    corners = points[:, triangles].reshape(batch * count, 3, 3)
    bound = torch.tensor([width - 1, height - 1], device=points.device)
    low = corners[:, :, :2].amin(dim=1).clamp_min(0).ceil().long()
    high = corners[:, :, :2].amax(dim=1).minimum(bound).floor().long()
    spans = (high - low + 1).clamp_min(0)
    planes, flat = _planes(corners)
    kept = torch.nonzero((spans.prod(dim=1) > 0) & ~flat)[:, 0]
    counts = spans[kept].prod(dim=1)
    owner = torch.repeat_interleave(kept, counts)
    within = torch.arange(len(owner), device=points.device) - torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    columns, rows = low[owner, 0] + within % spans[owner, 0], low[owner, 1] + within // spans[owner, 0]
    xy1 = torch.stack([columns, rows, torch.ones_like(rows)], dim=1).to(points.dtype)
    v, w = ((planes[owner, corner] * xy1).sum(dim=1) for corner in (0, 1))
    inside = torch.nonzero((v >= -EDGE_TOLERANCE) & (w >= -EDGE_TOLERANCE) & (v + w <= 1 + EDGE_TOLERANCE))[:, 0]
    owner, v, w = owner[inside], v[inside], w[inside]
    pixel = (owner // count) * (width * height) + rows[inside] * width + columns[inside]
    weights = torch.stack([1 - v - w, v, w], dim=1)
    z = (weights * corners[owner, :, 2]).sum(dim=1)
    depth = torch.full((batch * height * width,), torch.inf, dtype=points.dtype, device=points.device)
    depth = depth.scatter_reduce(0, pixel, z, "amin")
    front = torch.nonzero(z <= depth[pixel])[:, 0]
    triangle = torch.full((len(depth),), -1, dtype=torch.long, device=points.device)
    # Of several triangles at the same depth the one with the highest index is kept, with its own weights.
    triangle = triangle.scatter_reduce(0, pixel[front], owner[front] % count, "amax")
    front = front[triangle[pixel[front]] == owner[front] % count]
    shares = torch.zeros(len(depth), 3, dtype=points.dtype, device=points.device)
    shares[pixel[front]] = weights[front]
    shape = (batch, height, width)
    return Raster(triangle.reshape(shape), shares.reshape(*shape, 3), depth.reshape(shape))


def sample_bilinear(images: Tensor, xy: Tensor) -> Tensor:
    """Sample images, (B, C, H, W), at positions, (B, h, w, 2) pixels: (B, C, h, w).

    Beyond an image's edge its border is repeated.
    """
    height, width = images.shape[2:]
    scale = torch.tensor([2 / max(width - 1, 1), 2 / max(height - 1, 1)], device=xy.device)
    return grid_sample(images, xy * scale - 1, mode="bilinear", padding_mode="border", align_corners=True)


def _planes(corners: Tensor) -> tuple[Tensor, Tensor]:
    """Return the coefficients of the second and third barycentric coordinate, and which triangles have no area.

    Args:
        corners: (N, 3, 3) of N triangles.

    Returns:
        (N, 2, 3): each coordinate is a x + b y + c at (x, y); and (N,) bool.
    """
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k, :2].unbind(dim=1) for k in range(3))
    twice = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    flat = twice.abs() < 1e-6
    scale = 1 / torch.where(flat, torch.ones_like(twice), twice)
    second = torch.stack([cy - ay, ax - cx, (cx - ax) * ay - (cy - ay) * ax], dim=1)
    third = torch.stack([ay - by, bx - ax, (by - ay) * ax - (bx - ax) * ay], dim=1)
    return torch.stack([second, third], dim=1) * scale[:, None, None], flat
