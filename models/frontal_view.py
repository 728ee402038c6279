"""Frontal views for a batch of photos on a device: the twin of toolkit.views.frontal's drawing."""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

from models.rasterizer import look_up, rasterize

GRAZING = 0.05  # half the width of the blend where both halves show a place equally well


def draw_frontal(
    skins: Tensor,
    places: Tensor,
    targets: Tensor,
    facing: Tensor,
    backdrops: Tensor,
    head: tuple[Tensor, Tensor],
    size: int,
) -> tuple[Tensor, Tensor]:
    """Draw frontal views as :func:`toolkit.views.frontal.draw` does, from stacked layouts.

    Args:
        skins: (B, 3, H, W) float32, 0 to 255; smaller photos padded by repeating their right and lower edge.
        places: (B, V, 2) pixels of skins.
        targets: (B, V, 3) pixels of the views.
        facing: (B, V) 0 to 1.
        backdrops: (B, 3, h, w) float32, 0 to 255.
        head: (T, 3) triangles, int64; and (V,) the vertex that takes each one's place in the mirror.
        size: side of the views, pixels; a multiple of 4.

    Returns:
        (B, 3, size, size) float32, 0 to 255; and (B, 1, size, size) visibility, 0 to 1.
    """
    triangles, mirror = head
    seen = rasterize(targets, triangles, (size, size))
    values = torch.cat([places, places[:, mirror], facing[..., None], facing[:, mirror, None]], dim=2)
    spread = seen.interpolate(triangles, values)
    own, mirrored = look_up(skins, spread[..., :2]), look_up(skins, spread[..., 2:4])
    visible, other = spread[..., 4][:, None], spread[..., 5][:, None]
    mirrored = _relit(mirrored, other, own, visible)
    share = _blurred((0.5 + (visible - other) / (2 * GRAZING)).clamp(0, 1), size / 80)
    inside = (seen.triangle >= 0).to(own.dtype)[:, None]
    edge = _blurred(inside, 0.7)
    behind = interpolate(backdrops, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 255)
    image = (own * share + mirrored * (1 - share)) * edge + behind * (1 - edge)
    return image.clamp(0, 255), visible * inside


def _relit(mirrored: Tensor, other: Tensor, own: Tensor, visible: Tensor) -> Tensor:
    """The mirrored half in the light of the half that it completes, as far as that half is seen."""
    size = own.shape[-1]

    def soft(image: Tensor) -> Tensor:
        coarse = avg_pool2d(image, 4)  # light varies slowly
        blurred = _blurred(coarse, 0.12 * coarse.shape[-1])
        return interpolate(blurred, size=(size, size), mode="bilinear", align_corners=False)

    light, light_mirrored = (
        soft(image * weight) / soft(weight) for image, weight in ((own, visible**2 + 1e-3), (mirrored, other**2 + 1e-3))
    )
    return mirrored + (light - light_mirrored) * soft(visible).clamp(0, 1)


def _blurred(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (B, C, H, W), as wide as OpenCV makes it for floats, edges reflected."""
    reach = (round(sigma * 8 + 1) | 1) // 2
    steps = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(steps**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(images.shape[1], 1, 1, -1)
    channels = images.shape[1]
    wide = conv2d(pad(images, (reach, reach, 0, 0), mode="reflect"), kernel, groups=channels)
    return conv2d(pad(wide, (0, 0, reach, reach), mode="reflect"), kernel.transpose(2, 3), groups=channels)
