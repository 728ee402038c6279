"""The skull around a face: where it has its colors, and where it ends."""

import numpy as np
import pytest

from toolkit.faces.head_mesh import FRONT_RINGS, build_head, face_oval
from toolkit.faces.shape_model import Fit, load_face_shapes
from toolkit.geometry.mesh_topology import SKIN
from toolkit.views.skull import SKULL_HEIGHTS, SKULL_SHARES, texture_positions, trim_skull

COUNT = len(face_oval())


@pytest.fixture
def fit() -> Fit:
    mean, _ = load_face_shapes()
    return Fit(mean, np.eye(3), 100.0, np.array([200.0, 150.0]), 0.0, 1.0)


def test_the_skull_follows_the_nearest_vertex_of_the_face(fit: Fit) -> None:
    head = build_head(fit.shape, back=False).vertices
    placed = fit.project(head)[:, :2]
    off = np.random.default_rng(0).normal(0, 3, (SKIN, 2))
    positions = texture_positions(placed[:SKIN] + off, fit, head)
    np.testing.assert_allclose(positions[:SKIN], placed[:SKIN] + off)
    for ring in range(len(FRONT_RINGS)):
        vertices = slice(SKIN + ring * COUNT, SKIN + (ring + 1) * COUNT)
        np.testing.assert_allclose(positions[vertices] - placed[vertices], off[face_oval()], atol=1e-9)


def test_the_skull_ends_at_the_jaw_and_reaches_its_whole_size_at_the_ears(fit: Fit) -> None:
    head = build_head(fit.shape, back=False).vertices
    trimmed = trim_skull(head, head)
    np.testing.assert_array_equal(trimmed[:SKIN], head[:SKIN])
    before, after = head[-COUNT:], trimmed[-COUNT:]
    oval = head[face_oval()]
    jaw = oval[:, 1] > SKULL_HEIGHTS[-1]
    assert jaw.sum() > 5
    rings = trimmed[SKIN:].reshape(len(FRONT_RINGS), COUNT, 3)
    for ring in rings:
        np.testing.assert_allclose(ring[jaw], oval[jaw], atol=1e-9)
    ears = (oval[:, 1] > SKULL_HEIGHTS[1]) & (oval[:, 1] < SKULL_HEIGHTS[2])
    assert ears.sum() >= 4
    np.testing.assert_allclose(after[ears], before[ears], atol=1e-9)
    top = int(np.argmin(oval[:, 1]))
    share = np.interp(oval[top, 1], SKULL_HEIGHTS, SKULL_SHARES)
    assert oval[top, 1] - after[top, 1] < (share + 0.25) * (oval[top, 1] - before[top, 1])


def test_any_values_of_the_vertices_are_trimmed_alike(fit: Fit) -> None:
    head = build_head(fit.shape, back=False).vertices
    values = np.column_stack([head, head @ [1, 2, 3] + 4])
    trimmed = trim_skull(values, head)
    np.testing.assert_allclose(trimmed[:, 3], trimmed[:, :3] @ [1, 2, 3] + 4, atol=1e-9)
