"""The refiner: turns a geometric frontal view, with its hidden and misplaced parts, into a realistic face.

The network does not generate a face freely. It chooses for each pixel between the mirrored half and what the photo
shows of the hidden one. It predicts a shift, because the mesh misplaces noses and jaws, a color correction, and a gate
for that correction. It also predicts how like the person the result will be.
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, grid_sample, interpolate, leaky_relu, pixel_shuffle, pixel_unshuffle

IMAGE_SIZE = 128  # px: the network's resolution; its changes are applied to larger views at their own resolution
MAX_SHIFT = 0.08  # of the view's side
# Of the color correction, outside of training. All of it is nearest to the target in pixels; on photos that differ from
# those of the training less of it keeps more of the person. What surrounds the head is not corrected at all: there it
# would add colored specks.
CORRECTION_SHARE = 0.95
# Of that correction's low frequencies on a profile. They give it the light of the studio where the training photos were
# taken; in the wild less of them keeps more of the person.
PROFILE_LIGHT_SHARE = 0.6
LIGHT_SIZE = 16  # px: the resolution of these low frequencies
# Visibility of the face's less visible half, relative to the other's: from the first on a view is nearly the photo, and
# stays as it is; up to the second all changes are made. These are yaws of about 13 and 33 degrees.
FRONTAL_RATIO, TURNED_RATIO = 0.65, 0.4
HALF_TURNED_RATIO, PROFILE_RATIO = 0.22, 0.12  # likewise: between them the light is reduced; about 46 and 56 degrees
ON_HEAD = 0.1  # visibility, of a pixel or its mirror image, from which it certainly lies on the head
SHOWN = 0.3  # visibility from which the photo's own pixels may be used in full; with less they are stretched
OWN_SHARE_START = -2.0  # logit: training starts with little of the photo's own pixels
_COLOR_CHANNELS, _GATE_CHANNELS = 3, 1


class Refined(NamedTuple):
    """What the refiner makes of a batch of views."""

    image: Tensor  # (B, 3, S, S) in [-1, 1]
    correction: Tensor  # (B, 3, S, S) in [-2, 2]: the change of color in it
    confidence: Tensor  # (B,) 0 to 1: the expected cosine between the embeddings of image and person


class _Changes(NamedTuple):
    """What the network predicts, S = IMAGE_SIZE."""

    own_share: Tensor  # (B, 1, S, S) 0 to 1: how much of each pixel is the view without mirroring
    shift: Tensor  # (B, 2, S / 4, S / 4) in half sides
    correction: Tensor  # (B, 3, S, S), gated
    confidence: Tensor  # (B,)


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
    """A U-Net over a view, its mirror image, the visibility of both, and the view without mirroring.

    Args:
        fine: channels at half the resolution.
        coarse: channels at a quarter, an eighth and a sixteenth of it.
    """

    takes_frontal_view = True  # its inputs are frontal views and their visibility, not crops
    gives_confidence = True  # it returns :class:`Refined`

    def __init__(self, fine: int = 24, coarse: tuple[int, int, int] = (64, 112, 160)) -> None:
        super().__init__()
        quarter, eighth, sixteenth = coarse
        self.stem = nn.Conv2d(4 * (2 * (3 + 1) + 3), fine, 3, 1, 1)  # after pixel_unshuffle of 2 x 2 pixels
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
        self.own_share = nn.Conv2d(quarter, 1, 3, 1, 1)
        for output, start in ((self.shift, 0), (self.paint, 0), (self.own_share, OWN_SHARE_START)):
            nn.init.zeros_(output.weight)
            nn.init.constant_(output.bias, start)  # type: ignore[arg-type]
        self.confidence = nn.Linear(sixteenth, 1)

    def forward(self, view: Tensor, visibility: Tensor, unmirrored: Tensor) -> Refined:
        """Refine frontal views; see :class:`toolkit.views.frontal.FrontalView`.

        Args:
            view: (B, 3, S, S) in [-1, 1].
            visibility: (B, 1, S, S) in [0, 1], of each pixel.
            unmirrored: (B, 3, S, S) in [-1, 1], the view without mirroring.

        Returns:
            In training all of the changes are applied; else a share of them, the less the face was turned the less.
        """
        size = view.shape[-1]
        small = [_resize(part, IMAGE_SIZE) for part in (view, visibility, unmirrored)]
        changes = self._predict(*small)
        own_share, shift, correction = changes.own_share, changes.shift, changes.correction
        if not self.training:
            ratio = _visibility_ratio(small[1])
            turned, profile = _ramp(ratio, FRONTAL_RATIO, TURNED_RATIO), _ramp(ratio, HALF_TURNED_RATIO, PROFILE_RATIO)
            light = _resize(_resize(correction, LIGHT_SIZE), IMAGE_SIZE)
            correction = correction - (1 - PROFILE_LIGHT_SHARE) * profile * light
            on_head = (small[1].maximum(small[1].flip(-1)) / ON_HEAD).clamp(max=1)
            own_share, shift = turned * own_share, turned * shift
            correction = CORRECTION_SHARE * turned * on_head * correction
        mixed = view + _resize(own_share, size) * (unmirrored - view)
        correction = _resize(correction, size)
        return Refined((_apply_shift(mixed, shift) + correction).clamp(-1, 1), correction, changes.confidence)

    def _predict(self, view: Tensor, visibility: Tensor, unmirrored: Tensor) -> _Changes:
        both = torch.cat([view, visibility, view.flip(-1), visibility.flip(-1), unmirrored], dim=1)
        fine = self._stem(both)
        quarter = self.down_quarter(leaky_relu(fine, 0.2))
        eighth = self.down_eighth(leaky_relu(quarter, 0.2))
        sixteenth = self.down_sixteenth(leaky_relu(eighth, 0.2))
        # Detached: the confidence is measured on what the network computes anyway, and must not change it.
        confidence = torch.sigmoid(self.confidence(sixteenth.detach().mean(dim=(2, 3)))[:, 0])
        eighth = self.mend_eighth(eighth + _upsample(self.up_eighth(sixteenth)))
        quarter = self.mend_quarter(quarter + _upsample(self.up_quarter(eighth)))
        shift = 2 * MAX_SHIFT * torch.tanh(self.shift(quarter))
        own_share = torch.sigmoid(self.own_share(quarter).float())
        own_share = interpolate(own_share, scale_factor=4.0, mode="bilinear") * (visibility / SHOWN).clamp(max=1)
        fine = self.mend_fine(fine + pixel_shuffle(self.up_fine(quarter), 2))
        painted = pixel_shuffle(self.paint(leaky_relu(fine, 0.2)), 2)
        gate, color = painted[:, _COLOR_CHANNELS:], painted[:, :_COLOR_CHANNELS]
        return _Changes(own_share, shift, torch.sigmoid(gate) * 2 * torch.tanh(color), confidence)

    def _stem(self, pixels: Tensor) -> Tensor:
        """Map (B, 11, S, S) to (B, fine, S / 2, S / 2)."""
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


def _visibility_ratio(visibility: Tensor) -> Tensor:
    """Return (B, 1, 1, 1): the mean visibility of the face's less visible half, relative to the other's."""
    half = visibility.shape[-1] // 2
    left, right = (part.mean(dim=(1, 2, 3), keepdim=True) for part in (visibility[..., :half], visibility[..., half:]))
    return torch.minimum(left, right) / torch.maximum(left, right).clamp_min(1e-3)


def _ramp(values: Tensor, none: float, full: float) -> Tensor:
    """Return 0 for values from ``none`` on, 1 up to ``full``, and linear between."""
    return ((none - values) / (none - full)).clamp(0, 1)


def _apply_shift(view: Tensor, shift: Tensor) -> Tensor:
    """Sample a view at shifted positions; the shift is (B, 2, h, w) as (x, y), in half sides."""
    size = view.shape[-1]
    centers = (2 * torch.arange(size, device=view.device) + 1) / size - 1  # of pixels; the view ends at -1 and 1
    x, y = interpolate(shift.float(), (size, size), mode="bilinear", align_corners=False).unbind(1)
    grid = torch.stack([x + centers, y + centers[:, None]], dim=-1)
    # Bilinear sampling would blur the view once more.
    return grid_sample(view.float(), grid, mode="bicubic", padding_mode="border", align_corners=False)
