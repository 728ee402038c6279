"""Random changes of what a training step sees: drawn once, from numbers alone, and applied by torch on any device.

Both loaders hand their 8-bit images to :func:`augmented`, so that they cannot differ in what is done to them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, pad

from pipelines.train.data.jpeg import compressed
from toolkit.errors import ConfigError

COLUMNS = 16  # random numbers per pair and step; a multiple of 4, because Philox makes four at once
_INPUTS = 2  # roles whose files may be of poor quality: the input and the second input, not the target
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: the weights of the colours in a grey
_MIDDLE = 127.5  # the grey that contrast turns about: the same for input and target, unlike a mean of each
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Augment:
    """What may happen to the photos of a pair; by default nothing.

    The window, the mirror and the colours are drawn once for a pair, and change its input, second input and target
    alike: what the network shall make stays a function of what it sees. Compression and blur are drawn for each input
    alone: targets stay clean.
    """

    load_size: int | None = (
        None  # px; images are loaded at this, and a random window of image_size cut; None: no window
    )
    mirror: float = 0.0  # probability; yaws and lamps change sides with it
    brightness: float = 0.0  # levels are scaled by 1 - this to 1 + this
    contrast: float = 0.0  # so are their distances from the middle grey
    saturation: float = 0.0  # and from the pixel's own grey
    jpeg: float = 0.0  # probability of one more JPEG compression, colours at half the resolution
    jpeg_quality: tuple[int, int] = (30, 95)  # from, to
    blur: float = 0.0  # probability of a Gaussian blur
    blur_sigma: tuple[float, float] = (0.5, 1.5)  # px, from, to

    def __post_init__(self) -> None:
        for name in ("mirror", "brightness", "contrast", "saturation", "jpeg", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be 0 to 1")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ConfigError(f"jpeg_quality={self.jpeg_quality}: must be two ascending numbers from 1 to 100")
        if not 0 < self.blur_sigma[0] <= self.blur_sigma[1] <= 10:
            raise ConfigError(f"blur_sigma={self.blur_sigma}: must be two ascending numbers above 0, up to 10 px")


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """What happens to the B pairs of one batch."""

    corner_xy: NDArray[np.int64]  # (B, 2) px, of the window in the loaded image
    mirrored: NDArray[np.bool_]  # (B,)
    brightness: Floats  # (B,) factors, 1 changes nothing; so for the next two
    contrast: Floats
    saturation: Floats
    quality: NDArray[np.int64]  # (2, B) of input and second input; 0: not compressed
    sigma: Floats  # (2, B) px, of input and second input; 0: not blurred


def uniform_rows(seed: int, first: int, count: int) -> Floats:
    """Rows ``first`` to ``first + count - 1`` of an endless table of random numbers from [0, 1), (count, COLUMNS).

    Row and seed alone decide what is in it: not the batch size, the number of GPUs, or where a run was resumed.
    """
    philox = np.random.Philox(np.random.SeedSequence(seed)).advance(first * COLUMNS // 4)
    return np.random.Generator(philox).random((count, COLUMNS))


def draw_changes(augment: Augment, uniform: Floats, size: int) -> Changes:
    """Turn random numbers into changes.

    Args:
        augment: what may happen.
        uniform: (B, COLUMNS) from :func:`uniform_rows`; the first two columns choose second inputs.
        size: of the images after the window is cut, px.
    """
    room = (augment.load_size or size) - size
    brightness, contrast, saturation = (
        1 + span * (2 * uniform[:, column] - 1)
        for column, span in zip((5, 6, 7), (augment.brightness, augment.contrast, augment.saturation), strict=True)
    )
    degrade = uniform[:, 8:].reshape(-1, _INPUTS, 4).transpose(2, 1, 0)  # (4, 2, B)
    (worst, best), (sharp, soft) = augment.jpeg_quality, augment.blur_sigma
    quality = worst + np.floor(degrade[1] * (best - worst + 1)).astype(np.int64)
    return Changes(
        corner_xy=np.floor(uniform[:, 2:4] * (room + 1)).astype(np.int64),
        mirrored=uniform[:, 4] < augment.mirror,
        brightness=brightness,
        contrast=contrast,
        saturation=saturation,
        quality=np.where(degrade[0] < augment.jpeg, quality, 0),
        sigma=np.where(degrade[2] < augment.blur, sharp + degrade[3] * (soft - sharp), 0),
    )


def no_changes(augment: Augment, count: int, size: int) -> Changes:
    """For evaluation: the window in the middle, and nothing else."""
    middle = ((augment.load_size or size) - size) // 2
    ones, zeros = np.ones(count), np.zeros((_INPUTS, count))
    corner = np.full((count, 2), middle)
    return Changes(corner, np.zeros(count, bool), ones, ones, ones, zeros.astype(np.int64), zeros)


def augmented(images: Tensor, changes: Changes, size: int) -> Tensor:
    """Apply the changes of a batch.

    Args:
        images: (R, B, 3, L, L) uint8, inputs first, then targets, then, if R is 3, second inputs.
        changes: of these B pairs.
        size: S, px.

    Returns:
        (R, B, 3, S, S) float32, 0 to 255, contiguous.
    """
    levels = _placed(images, changes, size)
    if any((factor != 1).any() for factor in (changes.brightness, changes.contrast, changes.saturation)):
        levels = _recoloured(levels, changes)
    for row, role in enumerate(range(0, len(levels), 2)):  # 0 is the input, 2 the second
        if len(chosen := np.flatnonzero(changes.sigma[row])):
            these = torch.from_numpy(chosen).to(images.device)
            levels[role, these] = _blurred(levels[role, these], changes.sigma[row, chosen])
        if len(chosen := np.flatnonzero(changes.quality[row])):
            these, quality = (
                torch.from_numpy(part).to(images.device) for part in (chosen, changes.quality[row, chosen])
            )
            levels[role, these] = compressed(levels[role, these], quality)
    return levels


def _placed(images: Tensor, changes: Changes, size: int) -> Tensor:
    """Window, mirror, float and memory order in one pass over the pixels."""
    levels = torch.empty(*images.shape[:3], size, size, device=images.device)
    if images.shape[-1] == size and not changes.mirrored.any():
        return levels.copy_(images)
    where = zip(changes.corner_xy.tolist(), changes.mirrored.tolist(), strict=True)
    for pair, ((x, y), mirrored) in enumerate(where):
        window = images[:, pair, :, y : y + size, x : x + size]
        levels[:, pair] = window.flip(-1) if mirrored else window
    return levels


def _recoloured(levels: Tensor, changes: Changes) -> Tensor:
    """Brightness, then contrast, then saturation: together one matrix and one offset per pair."""
    grey = np.tile(np.array(_LUMA), (3, 1))  # every colour becomes the grey
    keep = changes.saturation[:, None, None]
    matrix = (keep * np.eye(3) + (1 - keep) * grey) * (changes.brightness * changes.contrast)[:, None, None]
    offset = (1 - changes.contrast) * _MIDDLE  # greys pass the saturation unchanged
    mix, shift = (torch.from_numpy(part).to(levels.device, torch.float32) for part in (matrix, offset))
    return (mix @ levels.flatten(3)).add_(shift.view(-1, 1, 1)).clamp_(0, 255).view_as(levels)


def _blurred(levels: Tensor, sigma: Floats) -> Tensor:
    """(B, 3, S, S) with a Gaussian of its own for each image."""
    radius = int(np.ceil(3 * sigma.max()))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    weights = np.repeat(weights / weights.sum(1, keepdims=True), 3, axis=0)  # one per plane
    kernel = torch.from_numpy(weights).to(levels.device, torch.float32)
    planes = pad(levels.flatten(0, 1)[None], (radius,) * 4, mode="replicate")
    planes = conv2d(planes, kernel[:, None, None, :], groups=len(kernel))
    planes = conv2d(planes, kernel[:, None, :, None], groups=len(kernel))
    return planes.view_as(levels)
