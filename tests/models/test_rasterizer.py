"""The batched rasteriser and the batched frontal view against those for single photos."""

import numpy as np
import pytest
import torch

from models import rasterizer as tensor_rasterizer
from pipelines.weights.gpu_views import ViewDrawer
from toolkit.faces.face import Face, Landmarker
from toolkit.faces.head_mesh import build_head, head_triangles
from toolkit.faces.shape_model import known_shapes
from toolkit.geometry import rasterizer
from toolkit.views import frontal
from toolkit.views.rotate import rotate_view

SIZE = (72, 64)


@pytest.fixture(scope="module")
def heads() -> np.ndarray:
    """(3, V, 3) heads of different shapes and yaws, some of them over the picture's edge."""
    mean, modes = known_shapes()
    turned = []
    for number, yaw in enumerate((0, 35, -70)):
        cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        head = build_head(mean + modes[number]).vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        turned.append(head * 30 + [36, 28, 0])
    return np.array(turned, np.float32)


def devices() -> list[object]:
    return ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", devices())
def test_a_batch_sees_what_single_photos_see(heads: np.ndarray, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    triangles = head_triangles()
    corners = torch.from_numpy(triangles).to(device)
    points = torch.from_numpy(heads).to(device)
    seen = tensor_rasterizer.rasterize(points, corners, SIZE)
    places = seen.interpolate(corners, points[:, :, :2])
    photos = np.random.default_rng(0).integers(0, 255, (3, 64, 72, 3), np.uint8)
    colours = tensor_rasterizer.look_up(torch.from_numpy(photos).to(device).permute(0, 3, 1, 2).float(), places)
    for number, head in enumerate(heads):
        alone = rasterizer.rasterize(head, triangles, SIZE)
        covered = alone.triangle >= 0
        assert 0.3 < covered.mean() < 1
        assert ((seen.triangle[number] >= 0).cpu().numpy() == covered).mean() > 0.999
        np.testing.assert_allclose(seen.depth[number].cpu().numpy()[covered], alone.depth[covered], atol=0.02)
        expected = alone.interpolate(triangles, head[:, :2])
        off = np.abs(places[number].cpu().numpy() - expected)[covered]
        assert np.quantile(off, 0.999) < 0.01
        single = rasterizer.look_up(photos[number], expected)[covered]
        batched = colours[number].permute(1, 2, 0).cpu().numpy()[covered]
        assert np.abs(single - batched).mean() < 2  # OpenCV rounds places to 1/32 pixel


@pytest.mark.parametrize("device", devices())
def test_a_batch_of_frontal_views_is_that_of_single_photos(
    portrait: np.ndarray, landmarker: Landmarker, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    turned = [rotate_view(portrait, landmarker.find(portrait)[0], yaw, light=(60, 0.5)) for yaw in (-50, 0, 30)]
    layouts = [frontal.lay_out(view.image, Face(view.landmarks, None), 128, "chin") for view in turned]
    images, visible = ViewDrawer(128, torch.device(device))(layouts)
    for number, layout in enumerate(layouts):
        image, visibility = frontal.draw(layout, 128)
        off = np.abs(images[number].permute(1, 2, 0).cpu().numpy() - image)
        assert off.mean() < 1.5
        assert np.quantile(off, 0.99) < 12
        assert np.abs(visible[number, 0].cpu().numpy() / 255 - visibility).mean() < 1e-3


def test_a_mesh_outside_the_picture_is_not_seen() -> None:
    points = torch.tensor([[[100.0, 100, 0], [120, 100, 0], [100, 120, 0]], [[1, 1, 0], [9, 1, 0], [1, 9, 0]]])
    seen = tensor_rasterizer.rasterize(points, torch.tensor([[0, 1, 2]]), (12, 12))
    assert (seen.triangle[0] == -1).all()
    assert (seen.triangle[1] == 0).sum() == 45  # the pixels of half a 9 x 9 square, its edges included
    assert torch.isinf(seen.depth[0]).all()
