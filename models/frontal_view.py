"""Frontal views for a batch of photos on a device: :func:`toolkit.views.frontal.render_view` for tensors."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d, interpolate, max_pool2d, pad

from models.rasterizer import rasterize, sample_bilinear

BLEND_HALF_WIDTH = 0.05  # difference in visibility at which a pixel comes from one half of the face alone
RIM_BLUR = 1.0  # pixels: standard deviation of the blur between head and surroundings

# As in toolkit.views.middle_line, where they are explained.
STRETCHES, NOSE_TIP_TO_BASE = [[10, 0], [17, 152]], [4, 2]
NOSE_BRIDGE = [9, 8, 168, 6, 197]
NO_SPOTS, ALL_SPOTS = 0.75, 0.65
SPOT_SIDE, SPOT_REACH, SPOT_WINDOW, SPOT_MARGIN = 128, 6, 7, 3
SPOT_CONTRAST = (40.0, 65.0)
NOSE_BASE_REACH, NOSE_BASE_CONTRAST = 3, 0.6


class FrontalViews(NamedTuple):
    """A batch of :class:`toolkit.views.frontal.FrontalView`."""

    images: Tensor  # (B, 3, S, S) float32, 0 to 255
    visibility: Tensor  # (B, 1, S, S) 0 to 1
    unmirrored: Tensor  # (B, 3, S, S) float32, 0 to 255


def render_views(
    textures: Tensor,
    texture_xy: Tensor,
    view_xyz: Tensor,
    visibility: Tensor,
    backgrounds: Tensor,
    own_margins: Tensor,
    head: tuple[Tensor, Tensor],
    size: int,
) -> FrontalViews:
    """Draw frontal views from the stacked :class:`toolkit.views.frontal.ViewInputs` of several photos.

    Args:
        textures: (B, 3, H, W) float32, 0 to 255; smaller ones padded by repeating their right and lower edges.
        texture_xy: (B, V, 2) pixels of the textures.
        view_xyz: (B, V, 3) pixels of the views.
        visibility: (B, V) 0 to 1.
        backgrounds: (B, 3, size, size) float32, 0 to 255.
        own_margins: (B,): a pixel is mirrored where its mirror image is more visible by this.
        head: triangles, (T, 3) int64; and for each vertex its mirror vertex, (V,).
        size: S, side of the views, pixels; a multiple of 4.
    """
    triangles, mirror = head
    raster = rasterize(view_xyz, triangles, (size, size))
    vertex_values = [texture_xy, texture_xy[:, mirror], visibility[..., None], visibility[:, mirror, None]]
    values = raster.interpolate(triangles, torch.cat(vertex_values, dim=2))
    own, mirrored = sample_bilinear(textures, values[..., :2]), sample_bilinear(textures, values[..., 2:4])
    visible, visible_mirrored = values[..., 4][:, None], values[..., 5][:, None]
    mirrored = _match_lighting(mirrored, visible_mirrored, own, visible)

    clearer = visible - visible_mirrored + own_margins[:, None, None, None]
    share = _gaussian_blur((0.5 + clearer / (2 * BLEND_HALF_WIDTH)).clamp(0, 1), size / 80)
    inside = (raster.triangle >= 0).to(own.dtype)[:, None]
    head_share = inside * (2 * _gaussian_blur(inside, RIM_BLUR) - 1).clamp(0, 1)
    unmirrored = own * head_share + backgrounds * (1 - head_share)
    images = (unmirrored + (mirrored - own) * ((1 - share) * head_share)).clamp(0, 255)
    unmirrored = unmirrored.clamp(0, 255)
    skin, spots = _find_spots(images, view_xyz, visibility)
    images, unmirrored = (each + spots * (skin - each) for each in (images, unmirrored))
    return FrontalViews(images, visible * inside, unmirrored)


def _match_lighting(mirrored: Tensor, visible_mirrored: Tensor, own: Tensor, visible: Tensor) -> Tensor:
    """Return the mirror images with the low-frequency brightness of the originals, as far as these are visible.

    Args:
        mirrored: (B, 3, S, S), the textures mirrored.
        visible_mirrored: (B, 1, S, S) their visibility.
        own: (B, 3, S, S), the textures as they are.
        visible: (B, 1, S, S) their visibility.
    """
    size = own.shape[-1]

    def blur(image: Tensor) -> Tensor:
        coarse = avg_pool2d(image, 4)  # enough for low frequencies
        blurred = _gaussian_blur(coarse, 0.12 * coarse.shape[-1])
        return interpolate(blurred, size=(size, size), mode="bilinear", align_corners=False)

    weighted = ((own, visible**2 + 1e-3), (mirrored, visible_mirrored**2 + 1e-3))
    light, light_mirrored = (blur(image * weight) / blur(weight) for image, weight in weighted)
    return mirrored + (light - light_mirrored) * blur(visible).clamp(0, 1)


def _find_spots(images: Tensor, view_xyz: Tensor, visibility: Tensor) -> tuple[Tensor, Tensor]:
    """Find spots on the middle line as :func:`toolkit.views.middle_line.remove_spots` does.

    Args:
        images: (B, 3, S, S), 0 to 255.
        view_xyz: (B, V, 3) pixels of the views.
        visibility: (B, V) 0 to 1.

    Returns:
        (B, 3, S, S) the skin's colors; (B, 1, S, S) 0 to 1, the share of them.
    """
    size = images.shape[-1]
    coarse = adaptive_avg_pool2d(images, SPOT_SIDE)
    middle, places = (SPOT_SIDE - 1) / 2, torch.arange(SPOT_SIDE, device=images.device)
    first, last = math.ceil(middle - SPOT_REACH), math.floor(middle + SPOT_REACH)
    around = coarse[..., first - SPOT_WINDOW : last + SPOT_WINDOW + 1]
    skin = around.unfold(3, 2 * SPOT_WINDOW + 1, 1).median(dim=-1).values
    heights = view_xyz[..., 1] * (SPOT_SIDE / size)
    tip, base = heights[:, NOSE_TIP_TO_BASE].unbind(1)
    on_base = ((places > tip[:, None]) & (places < base[:, None]))[:, None, :, None]
    skin = torch.where(on_base, _between_rows(skin, places, tip, base), skin)
    contrast = (coarse[..., first : last + 1] - skin).abs().amax(dim=1, keepdim=True)
    contrast = torch.where(on_base, NOSE_BASE_CONTRAST * contrast, contrast)
    share = ((contrast - SPOT_CONTRAST[0]) / (SPOT_CONTRAST[1] - SPOT_CONTRAST[0])).clamp(0, 1)
    turned = (NO_SPOTS - visibility[:, NOSE_BRIDGE].mean(dim=1)) / (NO_SPOTS - ALL_SPOTS)
    top, bottom = heights[:, STRETCHES, None].unbind(2)
    rows = (torch.minimum(places - top, bottom - places).amax(dim=1) / SPOT_MARGIN).clamp(0, 1)
    reach = torch.where(on_base, NOSE_BASE_REACH, SPOT_REACH)
    columns = ((reach - 0.5 - (places[first : last + 1] - middle).abs()) / 2).clamp(0, 1)
    weight = turned.clamp(0, 1)[:, None, None, None] * rows[:, None, :, None] * columns
    strip = torch.cat([skin, max_pool2d(share, 3, 1, 1) * weight], dim=1)
    maps = pad(strip, (first, SPOT_SIDE - 1 - last, 0, 0), mode="replicate")
    maps = interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)
    return maps[:, :3], maps[:, 3:]


def _between_rows(skin: Tensor, rows: Tensor, upper: Tensor, lower: Tensor) -> Tensor:
    """Interpolate the colors of rows from those just above ``upper`` and just below ``lower``, (B,) each.

    Args:
        skin: (B, 3, H, W).
        rows: (H,) their numbers.
        upper: (B,) pixels.
        lower: (B,) pixels.
    """
    each = torch.arange(len(skin), device=skin.device)
    above, below = (
        skin[each, :, row.long().clamp(0, skin.shape[2] - 1)][:, :, None] for row in (upper.floor(), lower.ceil())
    )
    share = (rows - upper[:, None]) / (lower - upper).clamp_min(1e-6)[:, None]
    return above + share[:, None, :, None] * (below - above)


def _gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Blur (B, C, H, W) with the kernel size that OpenCV chooses for floats, edges reflected."""
    radius = (round(sigma * 8 + 1) | 1) // 2
    steps = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    channels = images.shape[1]
    rows = conv2d(pad(images, (radius, radius, 0, 0), mode="reflect"), kernel, groups=channels)
    return conv2d(pad(rows, (0, 0, radius, radius), mode="reflect"), kernel.transpose(2, 3), groups=channels)
