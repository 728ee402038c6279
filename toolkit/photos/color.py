"""Conversion of decoded images, of any mode and with any embedded color profile, to 8-bit sRGB."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SRGB_TOLERANCE = 2  # levels of 255: the sRGB profiles in use (HP, GIMP, Google) differ by at most 1, Display P3 by 96
_MIN_CONTRAST = 24  # levels from black to gray and gray to white: a profile with less is damaged; intact ones give 60
_PROFILE_MODES = ("RGB", "L", "CMYK")  # Pillow's modes whose profiles are applied; LAB needs none
_GRAY16_TO_8 = np.round(np.arange(65536) / 257).astype(np.uint8)
_STRIP_ROWS = 256


def to_rgb(image: Image.Image, profile: bytes | None) -> NDArray[np.uint8]:
    """Convert a decoded image of any mode to sRGB: transparency is blended with white, grays are scaled to 8 bits.

    Args:
        image: as Pillow decoded it.
        profile: its ICC profile, or None.

    Returns:
        (H, W, 3) RGB.
    """
    if image.mode.startswith("I;16"):
        return np.repeat(_GRAY16_TO_8[np.asarray(image)][:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        return _gray_to_rgb(np.array(image).astype(np.float64))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        photo = image.convert("RGBA")
        opaque = to_srgb(photo.convert("L" if image.mode in ("L", "LA", "La") else "RGB"), profile)
        opaque.putalpha(photo.getchannel("A"))
        white = Image.new("RGBA", photo.size, "white")
        return np.array(Image.alpha_composite(white, opaque).convert("RGB"))
    return _pixels(to_srgb(image, profile))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert an image to sRGB by its profile; without one, or with a damaged one, as Pillow converts its mode.

    Args:
        image: any mode of 8 bits without alpha; may be changed in place.
        profile: the embedded ICC profile, or None.

    Returns:
        Mode RGB.

    Raises:
        ValueError: Pillow cannot convert the mode.
    """
    if image.mode not in _PROFILE_MODES:
        image = image.convert("RGB")
    transform = srgb_transform(profile, image.mode) if profile else None
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return transform.apply(image, image if image.mode == "RGB" else None)


@lru_cache(maxsize=16)  # building a transform takes milliseconds, and a collection has few different profiles
def srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the transform from a profile to sRGB, relative colorimetric with black point compensation.

    Args:
        profile: an ICC profile.
        mode: Pillow's mode: RGB, L or CMYK.

    Returns:
        The transform. None where the pixels are to stay as they are: the profile is sRGB already (decided by its
        effect on a grid of colors, not by its name), is damaged, or is for another mode.
    """
    try:
        transform = ImageCms.buildTransform(
            ImageCms.getOpenProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, ImportError):  # ImportError: a Pillow built without littleCMS
        return None
    return transform if _is_needed(transform, mode) else None


def _is_needed(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Return whether a transform changes colors visibly, and is not damaged."""
    sample = _color_sample(mode)
    [converted] = np.asarray(transform.apply(sample)).astype(int)
    black, gray, white = converted[[0, len(converted) // 2, -1]]
    if min(gray.min() - black.max(), white.min() - gray.max()) < _MIN_CONTRAST:
        return False
    return mode == "CMYK" or bool(np.abs(converted - np.asarray(sample.convert("RGB"))).max() > _SRGB_TOLERANCE)


def _color_sample(mode: str) -> Image.Image:
    """Return an image of one row for a test of a transform: black first, gray in the middle, white last."""
    if mode == "CMYK":
        return Image.fromarray(np.array([[[255] * 4, [0, 0, 0, 127], [0] * 4]], np.uint8), "CMYK")
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Return the array of an RGB image; strip by strip, since Pillow's conversion holds several copies in memory."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP_ROWS):
        strip = image.crop((0, top, image.width, min(top + _STRIP_ROWS, image.height)))
        pixels[top : top + _STRIP_ROWS] = np.asarray(strip)
    return pixels


def _gray_to_rgb(gray: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Convert grays of unknown range to 8 bits: floats in [0, 1], 8-bit or 16-bit integers."""
    gray = np.nan_to_num(gray, posinf=0, neginf=0)
    peak = gray.max(initial=0)
    scale = 255.0 if 0 < peak <= 1 else 1.0 if peak <= 255 else 255 / 65535 if peak <= 65535 else 255 / peak
    levels = np.clip(np.round(gray * scale), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)
