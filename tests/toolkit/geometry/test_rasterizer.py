import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.geometry.rasterizer import rasterize, sample_bilinear


def by_hand(points: NDArray[np.float32], triangles: NDArray[np.int64], width: int, height: int) -> NDArray[np.float64]:
    """Depth of the nearest triangle at each pixel's centre, one triangle and one pixel after the other."""
    depth = np.full((height, width), np.inf)
    for a, b, c in points[triangles].astype(np.float64):
        matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
        if abs(np.linalg.det(matrix)) < 1e-9:
            continue
        for y in range(height):
            for x in range(width):
                shares = np.linalg.solve(matrix, [x, y, 1])
                if shares.min() >= 0:
                    depth[y, x] = min(depth[y, x], shares @ [a[2], b[2], c[2]])
    return depth


@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_sees_its_nearest_triangle(seed: int) -> None:
    random = np.random.default_rng(seed)
    points = random.uniform(-6, 26, (18, 3)).astype(np.float32)  # some of them outside, and behind one another
    triangles = random.integers(0, 18, (14, 3))
    seen, expected = rasterize(points, triangles, (20, 16)), by_hand(points, triangles, 20, 16)
    same = np.isclose(seen.depth, expected, atol=1e-3) | (np.isinf(seen.depth) & np.isinf(expected))
    assert same.mean() > 0.99  # a pixel on an edge may fall to either side
    assert ((seen.triangle < 0) == np.isinf(seen.depth)).all()


def test_values_of_the_corners_spread_linearly_without_cracks() -> None:
    grid = np.stack(np.meshgrid(np.linspace(0, 31, 9), np.linspace(0, 31, 9)), axis=-1).reshape(-1, 2)
    points = np.column_stack([grid, np.zeros(81)]).astype(np.float32)
    corners = np.array([row * 9 + column for row in range(8) for column in range(8)])
    triangles = np.concatenate([corners[:, None] + [0, 1, 9], corners[:, None] + [1, 10, 9]])
    seen = rasterize(points, triangles, (32, 32))
    assert (seen.triangle >= 0).all()
    place = seen.interpolate(triangles, points[:, :2])
    rows, columns = np.mgrid[:32, :32]
    np.testing.assert_allclose(place, np.stack([columns, rows], axis=-1), atol=1e-3)
    photo = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    np.testing.assert_allclose(sample_bilinear(photo, place), photo, atol=1)


def test_nothing_to_draw_is_an_empty_picture() -> None:
    line = np.array([[1, 1, 0], [5, 5, 0], [9, 9, 0]], np.float32)
    seen = rasterize(line, np.array([[0, 1, 2]]), (8, 8))
    assert (seen.triangle == -1).all()
    assert not seen.interpolate(np.array([[0, 1, 2]]), line).any()
