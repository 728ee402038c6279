"""The batched rasterizer and the batched frontal view, compared with those for single photos."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import rasterizer as tensor_rasterizer
from pipelines.weights.gpu_views import ViewRenderer
from toolkit.faces.face import Face
from toolkit.faces.head_mesh import build_head, head_triangles
from toolkit.faces.shape_model import load_face_shapes
from toolkit.geometry import rasterizer
from toolkit.landmarks.protocols import Landmarker
from toolkit.views import frontal
from toolkit.views.middle_line import NOSE_BRIDGE
from toolkit.views.rotate import rotate_view

Array = NDArray[Any]
SIZE = (72, 64)  # pixels, width and height


@pytest.fixture(scope="module")
def heads() -> Array:
    """(3, V, 3) heads of different shapes and yaws, some of them partly outside the image."""
    mean, modes = load_face_shapes()
    turned = []
    for number, yaw in enumerate((0, 35, -70)):
        cos, sin = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
        head = build_head(mean + modes[number]).vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        turned.append(head * 30 + [36, 28, 0])
    return np.array(turned, np.float32)


def devices() -> list[object]:
    return ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.mark.parametrize("device", devices())
def test_a_batch_is_rasterized_as_single_meshes_are(heads: Array, device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    triangles = head_triangles()
    corners = torch.from_numpy(triangles).to(device)
    points = torch.from_numpy(heads).to(device)
    raster = tensor_rasterizer.rasterize(points, corners, SIZE)
    xy = raster.interpolate(corners, points[:, :, :2])
    photos = np.random.default_rng(0).integers(0, 255, (3, 64, 72, 3), np.uint8)
    colors = tensor_rasterizer.sample_bilinear(torch.from_numpy(photos).to(device).permute(0, 3, 1, 2).float(), xy)
    for number, head in enumerate(heads):
        single = rasterizer.rasterize(head, triangles, SIZE)
        covered = single.triangle >= 0
        assert 0.3 < covered.mean() < 1
        assert ((raster.triangle[number] >= 0).cpu().numpy() == covered).mean() > 0.999
        np.testing.assert_allclose(raster.depth[number].cpu().numpy()[covered], single.depth[covered], atol=0.02)
        expected = single.interpolate(triangles, head[:, :2])
        difference = np.abs(xy[number].cpu().numpy() - expected)[covered]
        assert np.quantile(difference, 0.999) < 0.01
        sampled = rasterizer.sample_bilinear(photos[number], expected)[covered]
        batched = colors[number].permute(1, 2, 0).cpu().numpy()[covered]
        assert np.abs(sampled - batched).mean() < 2  # OpenCV rounds positions to 1/32 pixel


@pytest.mark.parametrize("device", devices())
def test_a_batch_of_frontal_views_is_that_of_single_photos(
    portrait: Array, landmarker: Landmarker, device: str
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    turned = [rotate_view(portrait, landmarker.find(portrait)[0], yaw, light=(60, 0.5)) for yaw in (-50, 0, 30)]
    inputs = [frontal.prepare_view(view.image, Face(view.landmarks, None), 128, "chin") for view in turned]
    inputs.append(with_spot(inputs[0]))
    images, visible, unmirrored = ViewRenderer(128, torch.device(device))(inputs)
    drawn = []
    for number, single in enumerate(inputs):
        image, visibility, plain = frontal.render_view(single, 128)
        drawn.append(image.astype(int))
        for batched, one in ((images, image), (unmirrored, plain)):
            difference = np.abs(batched[number].permute(1, 2, 0).cpu().numpy() - one)
            assert difference.mean() < 1.5
            assert np.quantile(difference, 0.99) < 12
        assert np.abs(visible[number, 0].cpu().numpy() / 255 - visibility).mean() < 1e-3
    bridge = (slice(0, 70), slice(58, 70))
    last = images[-1].permute(1, 2, 0).cpu().numpy()
    for without_spot in (drawn[-1], last):
        assert np.abs(drawn[0] - without_spot)[bridge].max() < 60  # it was black


def with_spot(inputs: frontal.ViewInputs) -> frontal.ViewInputs:
    """Draw a black spot between the eyes, where the photo has the bridge of the nose; little of it is in sight."""
    x, y = inputs.texture_xy[168].round().astype(int).tolist()
    texture, visibility = inputs.texture.copy(), inputs.visibility.copy()
    cv2.circle(texture, (x, y), 2, (0, 0, 0), -1)
    visibility[NOSE_BRIDGE] *= 0.6
    return replace(inputs, texture=texture, visibility=visibility)


def test_a_mesh_outside_the_image_covers_no_pixel() -> None:
    points = torch.tensor([[[100.0, 100, 0], [120, 100, 0], [100, 120, 0]], [[1, 1, 0], [9, 1, 0], [1, 9, 0]]])
    raster = tensor_rasterizer.rasterize(points, torch.tensor([[0, 1, 2]]), (12, 12))
    assert (raster.triangle[0] == -1).all()
    assert (raster.triangle[1] == 0).sum() == 45  # the pixels of half a 9 x 9 square, its edges included
    assert torch.isinf(raster.depth[0]).all()
