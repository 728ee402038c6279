"""Random augmentation: parameters drawn from random numbers alone, applied by torch on any device.

Both loaders give their 8-bit images to :func:`apply_augment`, so that they augment alike.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, pad

from pipelines.train.data.jpeg import simulate_jpeg
from toolkit.errors import ConfigError

COLUMNS = 16  # random numbers per pair and step; a multiple of 4, because Philox makes four at once
_INPUTS = 2  # roles whose quality may be degraded: the input and the second input, not the target
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: the weights of red, green and blue in the gray level
_MIDDLE = 127.5  # the level that contrast scales about: the same for input and target, unlike the mean of each
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """Which augmentations are applied to the images of a pair; by default none.

    Crop, flip and color are drawn once per pair and applied to its input, second input and target alike, so that the
    target stays a function of the input. JPEG compression and blur are drawn for each input separately, and never
    applied to targets.
    """

    load_size: int | None = None  # px, of loaded images, before random cropping to image_size; None: no crop
    flip: float = 0.0  # probability of a horizontal flip; yaws and lamps change sides with it
    brightness: float = 0.0  # levels are scaled by 1 - this to 1 + this
    contrast: float = 0.0  # so are their differences from the middle gray
    saturation: float = 0.0  # and from the pixel's own gray
    jpeg: float = 0.0  # probability of JPEG compression, 4:2:0
    jpeg_quality: tuple[int, int] = (30, 95)  # from, to
    blur: float = 0.0  # probability of a Gaussian blur
    blur_sigma: tuple[float, float] = (0.5, 1.5)  # px, from, to

    def __post_init__(self) -> None:
        for name in ("flip", "brightness", "contrast", "saturation", "jpeg", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be 0 to 1; 0 switches it off")
        if self.load_size is not None and self.load_size < 1:
            raise ConfigError(f"load_size={self.load_size}: must be image_size or more")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ConfigError(f"jpeg_quality={self.jpeg_quality}: must be two ascending numbers from 1 to 100")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1] <= 10:
            raise ConfigError(f"blur_sigma={self.blur_sigma}: must be two ascending numbers above 0, up to 10 px")


@dataclass(frozen=True, slots=True, eq=False)
class AugmentParams:
    """The augmentation of the B pairs of one batch."""

    corner_xy: NDArray[np.int64]  # (B, 2) px, of the crop in the loaded image
    flipped: NDArray[np.bool_]  # (B,)
    brightness: Floats  # (B,) factors, 1 changes nothing; so for the next two
    contrast: Floats
    saturation: Floats
    quality: NDArray[np.int64]  # (2, B) of input and second input; 0: not compressed
    sigma: Floats  # (2, B) px, of input and second input; 0: not blurred


def uniform_rows(seed: int, first: int, count: int) -> Floats:
    """Return rows ``first`` to ``first + count - 1`` of an endless table of random numbers, (count, COLUMNS) in [0, 1).

    A row depends on its number and the seed only: not on the batch size, the number of GPUs, or where a run resumed.
    """
    philox = np.random.Philox(np.random.SeedSequence(seed)).advance(first * COLUMNS // 4)
    return np.random.Generator(philox).random((count, COLUMNS))


def draw_params(augment: Augment, uniform: Floats, size: int) -> AugmentParams:
    """Turn random numbers into augmentation parameters.

    Args:
        augment: which augmentations are on.
        uniform: (B, COLUMNS) from :func:`uniform_rows`; the first two columns choose second inputs.
        size: of the images after cropping, px.
    """
    room = (augment.load_size or size) - size
    brightness, contrast, saturation = (
        1 + span * (2 * uniform[:, column] - 1)
        for column, span in zip((5, 6, 7), (augment.brightness, augment.contrast, augment.saturation), strict=True)
    )
    per_input = uniform[:, 8:].reshape(-1, _INPUTS, 4).transpose(2, 1, 0)  # (4, 2, B)
    (lowest, highest), (sharp, soft) = augment.jpeg_quality, augment.blur_sigma
    quality = lowest + np.floor(per_input[1] * (highest - lowest + 1)).astype(np.int64)
    return AugmentParams(
        corner_xy=np.floor(uniform[:, 2:4] * (room + 1)).astype(np.int64),
        flipped=uniform[:, 4] < augment.flip,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        quality=np.where(per_input[0] < augment.jpeg, quality, 0),
        sigma=np.where(per_input[2] < augment.blur, sharp + per_input[3] * (soft - sharp), 0),
    )


def no_augment(augment: Augment, count: int, size: int) -> AugmentParams:
    """Return the parameters of evaluation: a center crop and nothing else."""
    middle = ((augment.load_size or size) - size) // 2
    ones, zeros = np.ones(count), np.zeros((_INPUTS, count))
    corner = np.full((count, 2), middle)
    return AugmentParams(corner, np.zeros(count, bool), ones, ones, ones, zeros.astype(np.int64), zeros)


def apply_augment(images: Tensor, params: AugmentParams, size: int) -> Tensor:
    """Augment a batch.

    Args:
        images: (R, B, 3, L, L) uint8, inputs first, then targets, then, if R is 3, second inputs.
        params: of these B pairs.
        size: S, px.

    Returns:
        (R, B, 3, S, S) float32, 0 to 255, contiguous.
    """
    levels = _crop_and_flip(images, params, size)
    if any((factor != 1).any() for factor in (params.brightness, params.contrast, params.saturation)):
        levels = _jitter_color(levels, params)
    for row, role in enumerate(range(0, len(levels), 2)):  # 0 is the input, 2 the second
        if len(chosen := np.flatnonzero(params.sigma[row])):
            places = torch.from_numpy(chosen).to(images.device)
            levels[role, places] = _gaussian_blur(levels[role, places], params.sigma[row, chosen])
        if len(chosen := np.flatnonzero(params.quality[row])):
            places, quality = (
                torch.from_numpy(part).to(images.device) for part in (chosen, params.quality[row, chosen])
            )
            levels[role, places] = simulate_jpeg(levels[role, places], quality)
    return levels


def _crop_and_flip(images: Tensor, params: AugmentParams, size: int) -> Tensor:
    """Crop, flip, float and memory order in one pass over the pixels."""
    levels = torch.empty(*images.shape[:3], size, size, device=images.device)
    if images.shape[-1] == size and not params.flipped.any():
        return levels.copy_(images)
    for pair, ((x, y), flipped) in enumerate(zip(params.corner_xy.tolist(), params.flipped.tolist(), strict=True)):
        window = images[:, pair, :, y : y + size, x : x + size]
        levels[:, pair] = window.flip(-1) if flipped else window
    return levels


def _jitter_color(levels: Tensor, params: AugmentParams) -> Tensor:
    """Brightness, then contrast, then saturation: together one matrix and one offset per pair."""
    gray = np.tile(np.array(_LUMA), (3, 1))  # maps every color to its gray
    keep = params.saturation[:, None, None]
    matrix = (keep * np.eye(3) + (1 - keep) * gray) * (params.brightness * params.contrast)[:, None, None]
    offset = (1 - params.contrast) * _MIDDLE  # saturation leaves grays unchanged
    mix, shift = (torch.from_numpy(part).to(levels.device, torch.float32) for part in (matrix, offset))
    return (mix @ levels.flatten(3)).add_(shift.view(-1, 1, 1)).clamp_(0, 255).view_as(levels)


def _gaussian_blur(levels: Tensor, sigma: Floats) -> Tensor:
    """Blur (B, 3, S, S), each image with its own sigma; torchvision's takes one sigma for all, and reflects edges."""
    radius = int(np.ceil(3 * sigma.max()))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    weights = np.repeat(weights / weights.sum(1, keepdims=True), 3, axis=0)  # one per plane
    kernel = torch.from_numpy(weights).to(levels.device, torch.float32)
    planes = pad(levels.flatten(0, 1)[None], (radius,) * 4, mode="replicate")
    planes = conv2d(planes, kernel[:, None, None, :], groups=len(kernel))
    planes = conv2d(planes, kernel[:, None, :, None], groups=len(kernel))
    return planes.view_as(levels)
