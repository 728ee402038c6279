"""The refiner: makes a photo of a geometric frontal view, which is a patchwork of what a turned face showed.

It paints nothing freely. It says how each place should be shifted (the mesh misjudges noses and jaws), what should
be added there, and how much of that counts; where the photo showed a place well, nothing is added.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, grid_sample, interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle

IMAGE_SIZE = 128  # px, at which the network looks; larger views are shifted and mended in their own resolution
SHIFT = 0.08  # of the view's side, at most
KEPT = 0.8  # of a pixel that was seen, or its mirror image was, stays as it is while the network learns; in use all
TAKEN = 0.35  # of the shift, in use: all of it is nearest in pixels, and makes everybody's proportions the usual ones
PAINTED = 0.5  # of what is painted over hidden places, in use: all of it makes everybody's noses the usual one
ONE_SIDED, EVEN = 0.2, 0.35  # the worse seen half's visibility over the better's: about 60 and 40 degrees of yaw
HARDLY_SEEN, SURELY_SEEN = 0.1, 0.7  # visibility up to which all may change, and from which a pixel counts as seen
MIRRORED = 0.8  # of its mirror image's visibility a hidden place has, since the view shows that there
_CORRECTION, _GATE = 3, 1  # channels of the two
_ACROSS = (-1.0, 1.0)  # what a mirror does to (x, y)


class Residual(nn.Module):
    """Two convolutions beside a straight path; at first it changes nothing."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> the same."""
        inner = leaky_relu(self.first(leaky_relu(features, 0.2)), 0.2)
        changed: Tensor = features + self.second(inner)
        return changed


class Refiner(nn.Module):
    """A U-Net over the view, its mirror image and both visibilities.

    Args:
        fine: channels at half the resolution.
        coarse: channels at a quarter, an eighth and a sixteenth.
    """

    def __init__(self, fine: int = 24, coarse: tuple[int, int, int] = (64, 112, 160)) -> None:
        super().__init__()
        quarter, eighth, sixteenth = coarse
        self.stem = nn.Conv2d(4 * 2 * (3 + 1), fine, 3, 1, 1)  # each 2 x 2 pixels become one
        self.down_quarter = nn.Sequential(nn.Conv2d(fine, quarter, 4, 2, 1), Residual(quarter), Residual(quarter))
        self.down_eighth = nn.Sequential(nn.Conv2d(quarter, eighth, 4, 2, 1), Residual(eighth), Residual(eighth))
        self.down_sixteenth = nn.Sequential(
            nn.Conv2d(eighth, sixteenth, 4, 2, 1), Residual(sixteenth), Residual(sixteenth)
        )
        self.up_eighth, self.mend_eighth = nn.Conv2d(sixteenth, eighth, 1), Residual(eighth)
        self.up_quarter, self.mend_quarter = nn.Conv2d(eighth, quarter, 1), Residual(quarter)
        self.up_fine, self.mend_fine = nn.Conv2d(quarter, 4 * fine, 1), Residual(fine)
        self.shift = nn.Conv2d(quarter, 2, 3, 1, 1)
        self.paint = nn.Conv2d(fine, 4 * (_CORRECTION + _GATE), 3, 1, 1)
        for head in (self.shift, self.paint):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def forward(self, view: Tensor, visibility: Tensor) -> Tensor:
        """Refine.

        Args:
            view: (B, 3, S, S) in [-1, 1], the geometric frontal view, its hidden parts filled.
            visibility: (B, 1, S, S) in [0, 1], how well the photo showed each pixel.

        Returns:
            (B, 3, S, S) in [-1, 1]; while it trains (B, 6, S, S): behind that what was painted over, in [-2, 2].
        """
        size = view.shape[-1]
        small = [_resized(part, IMAGE_SIZE) for part in (view, visibility)]
        shift, painted = self._changes(*small)
        kept = KEPT
        if not self.training:
            kept, own = 1.0, _two_sided(small[1])
            shift, painted = TAKEN * _evened(shift, own, _ACROSS), PAINTED * _evened(painted, own)
        view, visibility = _shifted(view, visibility, shift)
        known = visibility.maximum(MIRRORED * visibility.flip(-1))
        seen = ((known - HARDLY_SEEN) / (SURELY_SEEN - HARDLY_SEEN)).clamp(0, 1)
        painted = (1 - kept * seen) * _resized(painted, size)
        made = (view + painted).clamp(-1, 1)
        return torch.cat([made, painted], dim=1) if self.training else made

    def _changes(self, view: Tensor, visibility: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 2, S / 4, S / 4) shift in shares of half the side, and (B, 3, S, S) what to add."""
        both = torch.cat([view, visibility, view.flip(-1), visibility.flip(-1)], dim=1)
        fine = self.stem(pixel_unshuffle(both, 2))
        quarter = self.down_quarter(leaky_relu(fine, 0.2))
        eighth = self.down_eighth(leaky_relu(quarter, 0.2))
        sixteenth = self.down_sixteenth(leaky_relu(eighth, 0.2))
        eighth = self.mend_eighth(eighth + _doubled(self.up_eighth(sixteenth)))
        quarter = self.mend_quarter(quarter + _doubled(self.up_quarter(eighth)))
        shift = 2 * SHIFT * torch.tanh(self.shift(quarter))
        fine = self.mend_fine(fine + pixel_shuffle(self.up_fine(quarter), 2))
        painted = pixel_shuffle(self.paint(leaky_relu(fine, 0.2)), 2)
        return shift, torch.sigmoid(painted[:, _CORRECTION:]) * 2 * torch.tanh(painted[:, :_CORRECTION])


class PatchDiscriminator(nn.Module):
    """Tell true faces from made ones, patch by patch, at two scales.

    Source: the multi-scale patch discriminator of pix2pixHD (Wang et al., CVPR 2018), without normalization.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.scales = nn.ModuleList([_patches(width), _patches(width)])

    def forward(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(B, 3, S, S) -> logits of patches and the features below them, each from fine to coarse."""
        logits, features = [], []
        for number, layers in enumerate(self.scales):
            inner = interpolate(image, scale_factor=0.5, mode="area") if number else image
            for layer in layers:  # type: ignore[attr-defined]
                inner = layer(inner)
                features.append(inner)
            logits.append(features.pop())
        return logits, features


def _patches(width: int) -> nn.ModuleList:
    widths = (3, width, 2 * width, 4 * width)
    steps = [nn.Sequential(nn.Conv2d(inner, outer, 4, 2, 1), nn.LeakyReLU(0.2)) for inner, outer in pairwise(widths)]
    return nn.ModuleList([*steps, nn.Conv2d(widths[-1], 1, 3, 1, 1)])


def _doubled(features: Tensor) -> Tensor:
    return interpolate(features, scale_factor=2.0, mode="nearest")


def _resized(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size:
        return images
    return interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)


def _two_sided(visibility: Tensor) -> Tensor:
    """(B, 1, 1, 1): 1 where both halves of a face were seen, 0 where one was, of (B, 1, S, S)."""
    half = visibility.shape[-1] // 2
    left, right = (part.mean(dim=(1, 2, 3), keepdim=True) for part in (visibility[..., :half], visibility[..., half:]))
    evenness = torch.minimum(left, right) / torch.maximum(left, right).clamp_min(1e-3)
    return ((evenness - ONE_SIDED) / (EVEN - ONE_SIDED)).clamp(0, 1)


def _evened(change: Tensor, own: Tensor, sign: tuple[float, ...] = (1.0,)) -> Tensor:
    """The same on both halves of a face of which one was seen: what the network invents on the other is crooked.

    Args:
        change: (B, C, h, w).
        own: (B, 1, 1, 1), from :func:`_two_sided`: so far each half keeps a change of its own.
        sign: what a mirror does to each channel.
    """
    mirrored = change.flip(-1) * change.new_tensor(sign).view(1, -1, 1, 1)
    return (1 + own) / 2 * change + (1 - own) / 2 * mirrored


def _shifted(view: Tensor, visibility: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Each pixel taken from as far away as the shift says, in shares of half the side, (B, 2, h, w) as (x, y)."""
    count, _, size, _ = view.shape
    here = affine_grid(torch.eye(2, 3, device=view.device).expand(count, 2, 3), [count, 1, size, size], False)
    there = interpolate(shift.float(), (size, size), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)

    def taken(image: Tensor, mode: str) -> Tensor:
        return grid_sample(image.float(), here + there, mode=mode, padding_mode="border", align_corners=False)

    return taken(view, "bicubic"), taken(visibility, "bilinear")  # the view once more bilinear would be blurred
