"""The refiner: turns a geometric frontal view, with its hidden and misplaced parts, into a realistic face.

The network does not generate a face freely. It predicts a shift for each pixel, because the mesh misplaces noses and
jaws, a color correction, and a gate for that correction. Pixels that the photo showed well are shifted, not corrected.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, grid_sample, interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle

IMAGE_SIZE = 128  # px: the network's resolution; its changes are applied to larger views at their own resolution
MAX_SHIFT = 0.08  # of the view's side
KEPT_IN_TRAINING = 0.8  # share of a visible pixel (or one whose mirror image is) that is not corrected; else 1

# Shares of shift and correction that are applied after training. In full they minimize the pixel loss, and bring
# everybody's proportions and nose closer to the average face.
SHIFT_SHARE, CORRECTION_SHARE = 0.35, 0.5

# Visibility of the face's less visible half, relative to the other, up to which a view is one-sided, and from which it
# is two-sided: about 60 and 40 degrees of yaw.
ONE_SIDED_RATIO, TWO_SIDED_RATIO = 0.2, 0.35
HIDDEN, VISIBLE = 0.1, 0.7  # visibility up to which a pixel is corrected in full, and from which not at all
MIRROR_FACTOR = 0.8  # a hidden pixel shows its mirror image, and counts with this share of that one's visibility
_COLOR_CHANNELS, _GATE_CHANNELS = 3, 1
_MIRROR_SIGNS = (-1.0, 1.0)  # effect of a mirror on (x, y)


class Residual(nn.Module):
    """A residual block of two convolutions; initialized to the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        inner = leaky_relu(self.first(leaky_relu(features, 0.2)), 0.2)
        output: Tensor = features + self.second(inner)
        return output


class Refiner(nn.Module):
    """A U-Net over a view, its mirror image and the visibility of both.

    Args:
        fine: channels at half the resolution.
        coarse: channels at a quarter, an eighth and a sixteenth of it.
    """

    takes_frontal_view = True  # its inputs are frontal views and their visibility, not crops

    def __init__(self, fine: int = 24, coarse: tuple[int, int, int] = (64, 112, 160)) -> None:
        super().__init__()
        quarter, eighth, sixteenth = coarse
        self.stem = nn.Conv2d(4 * 2 * (3 + 1), fine, 3, 1, 1)  # after pixel_unshuffle of 2 x 2 pixels
        self.down_quarter = nn.Sequential(nn.Conv2d(fine, quarter, 4, 2, 1), Residual(quarter), Residual(quarter))
        self.down_eighth = nn.Sequential(nn.Conv2d(quarter, eighth, 4, 2, 1), Residual(eighth), Residual(eighth))
        self.down_sixteenth = nn.Sequential(
            nn.Conv2d(eighth, sixteenth, 4, 2, 1), Residual(sixteenth), Residual(sixteenth)
        )
        self.up_eighth, self.mend_eighth = nn.Conv2d(sixteenth, eighth, 1), Residual(eighth)
        self.up_quarter, self.mend_quarter = nn.Conv2d(eighth, quarter, 1), Residual(quarter)
        self.up_fine, self.mend_fine = nn.Conv2d(quarter, 4 * fine, 1), Residual(fine)
        self.shift = nn.Conv2d(quarter, 2, 3, 1, 1)
        self.paint = nn.Conv2d(fine, 4 * (_COLOR_CHANNELS + _GATE_CHANNELS), 3, 1, 1)
        for output in (self.shift, self.paint):
            nn.init.zeros_(output.weight)
            nn.init.zeros_(output.bias)  # type: ignore[arg-type]

    def forward(self, view: Tensor, visibility: Tensor) -> Tensor:
        """Refine frontal views.

        Args:
            view: (B, 3, S, S) in [-1, 1], from :func:`toolkit.views.frontal.frontal_view`.
            visibility: (B, 1, S, S) in [0, 1], of each pixel.

        Returns:
            (B, 3, S, S) in [-1, 1]; in training mode (B, 6, S, S): the corrections in [-2, 2] follow.
        """
        size = view.shape[-1]
        small = [_resize(part, IMAGE_SIZE) for part in (view, visibility)]
        shift, correction = self._predict(*small)
        kept = KEPT_IN_TRAINING
        if not self.training:
            kept, two_sided = 1.0, _two_sidedness(small[1])
            shift = SHIFT_SHARE * _symmetrize(shift, two_sided, _MIRROR_SIGNS)
            correction = CORRECTION_SHARE * _symmetrize(correction, two_sided)
        view, visibility = _apply_shift(view, visibility, shift)
        known = visibility.maximum(MIRROR_FACTOR * visibility.flip(-1))
        visible = ((known - HIDDEN) / (VISIBLE - HIDDEN)).clamp(0, 1)
        correction = (1 - kept * visible) * _resize(correction, size)
        refined = (view + correction).clamp(-1, 1)
        return torch.cat([refined, correction], dim=1) if self.training else refined

    def _predict(self, view: Tensor, visibility: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shift, (B, 2, S / 4, S / 4) in half sides, and the gated correction, (B, 3, S, S)."""
        both = torch.cat([view, visibility, view.flip(-1), visibility.flip(-1)], dim=1)
        fine = self._stem(both)
        quarter = self.down_quarter(leaky_relu(fine, 0.2))
        eighth = self.down_eighth(leaky_relu(quarter, 0.2))
        sixteenth = self.down_sixteenth(leaky_relu(eighth, 0.2))
        eighth = self.mend_eighth(eighth + _upsample(self.up_eighth(sixteenth)))
        quarter = self.mend_quarter(quarter + _upsample(self.up_quarter(eighth)))
        shift = 2 * MAX_SHIFT * torch.tanh(self.shift(quarter))
        fine = self.mend_fine(fine + pixel_shuffle(self.up_fine(quarter), 2))
        painted = pixel_shuffle(self.paint(leaky_relu(fine, 0.2)), 2)
        gate, color = painted[:, _COLOR_CHANNELS:], painted[:, :_COLOR_CHANNELS]
        return shift, torch.sigmoid(gate) * 2 * torch.tanh(color)

    def _stem(self, pixels: Tensor) -> Tensor:
        """Map (B, 8, S, S) to (B, fine, S / 2, S / 2)."""
        if not torch.compiler.is_exporting():
            features: Tensor = self.stem(pixel_unshuffle(pixels, 2))
            return features
        # The same sums as one convolution: pixel_unshuffle would take a twentieth of ONNX Runtime's time.
        weight = self.stem.weight.unflatten(1, (-1, 2, 2)).permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)
        return conv2d(pixels, weight, self.stem.bias, stride=2, padding=2)


class PatchDiscriminator(nn.Module):
    """Discriminate real faces from generated ones, patch by patch, at two scales.

    Source: the multi-scale patch discriminator of pix2pixHD (Wang et al., CVPR 2018), without normalization.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.scales = nn.ModuleList([_patch_layers(width), _patch_layers(width)])

    def forward(self, image: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Map (B, 3, S, S) to the patches' logits and to the features of the layers below, each from fine to coarse."""
        logits, features = [], []
        for number, layers in enumerate(self.scales):
            inner = interpolate(image, scale_factor=0.5, mode="area") if number else image
            for layer in layers:  # type: ignore[attr-defined]
                inner = layer(inner)
                features.append(inner)
            logits.append(features.pop())
        return logits, features


def _patch_layers(width: int) -> nn.ModuleList:
    widths = (3, width, 2 * width, 4 * width)
    steps = [nn.Sequential(nn.Conv2d(inner, outer, 4, 2, 1), nn.LeakyReLU(0.2)) for inner, outer in pairwise(widths)]
    return nn.ModuleList([*steps, nn.Conv2d(widths[-1], 1, 3, 1, 1)])


def _upsample(features: Tensor) -> Tensor:
    return interpolate(features, scale_factor=2.0, mode="nearest")


def _resize(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size and not torch.compiler.is_exporting():  # exported graphs take views of any size
        return images
    return interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)


def _two_sidedness(visibility: Tensor) -> Tensor:
    """Return (B, 1, 1, 1): 1 where the photo showed both halves of a face, 0 where it showed one; of (B, 1, S, S)."""
    half = visibility.shape[-1] // 2
    left, right = (part.mean(dim=(1, 2, 3), keepdim=True) for part in (visibility[..., :half], visibility[..., half:]))
    ratio = torch.minimum(left, right) / torch.maximum(left, right).clamp_min(1e-3)
    return ((ratio - ONE_SIDED_RATIO) / (TWO_SIDED_RATIO - ONE_SIDED_RATIO)).clamp(0, 1)


def _symmetrize(change: Tensor, two_sided: Tensor, sign: tuple[float, ...] = (1.0,)) -> Tensor:
    """Average a change with its mirror image, because what is generated on a hidden half comes out crooked.

    Args:
        change: (B, C, h, w).
        two_sided: (B, 1, 1, 1), from :func:`_two_sidedness`: 1 leaves the change as it is, 0 makes it symmetric.
        sign: effect of a mirror on each channel.
    """
    mirrored = change.flip(-1) * change.new_tensor(sign).view(1, -1, 1, 1)
    return (1 + two_sided) / 2 * change + (1 - two_sided) / 2 * mirrored


def _apply_shift(view: Tensor, visibility: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Sample view and visibility at shifted positions; the shift is (B, 2, h, w) as (x, y), in half sides."""
    size = view.shape[-1]
    centers = (2 * torch.arange(size, device=view.device) + 1) / size - 1  # of pixels; the view ends at -1 and 1
    x, y = interpolate(shift.float(), (size, size), mode="bilinear", align_corners=False).unbind(1)
    grid = torch.stack([x + centers, y + centers[:, None]], dim=-1)

    def sample(image: Tensor, mode: str) -> Tensor:
        return grid_sample(image.float(), grid, mode=mode, padding_mode="border", align_corners=False)

    return sample(view, "bicubic"), sample(visibility, "bilinear")  # bilinear sampling would blur the view again
