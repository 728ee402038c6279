"""Colours: every mode and embedded profile said in 8 bits of sRGB, which everything behind the decoder assumes."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_ROUNDING = 2  # levels of 255: the sRGB profiles in use (HP, GIMP, Google) differ by at most 1, Display P3 by 96
_CONTRAST = 24  # levels from black to grey and grey to white, below which a profile is damaged; sound ones give 60
_READY = ("RGB", "L", "CMYK")  # the modes of Pillow whose profiles are looked at; LAB needs none
_DEEP_GREYS = np.round(np.arange(65536) / 257).astype(np.uint8)  # 16 bits to 8
_STRIP = 256  # rows


def to_rgb(image: Image.Image, profile: bytes | None) -> NDArray[np.uint8]:
    """The pixels of a decoded image of any mode: transparency over white, greys to 8 bits, colours in sRGB.

    Args:
        image: as Pillow decoded it.
        profile: its ICC profile, if it has one.

    Returns:
        (H, W, 3) RGB.
    """
    if image.mode.startswith("I;16"):
        return np.repeat(_DEEP_GREYS[np.asarray(image)][:, :, None], 3, axis=2)
    if image.mode in ("I", "F"):
        return _grey_to_rgb(np.array(image).astype(np.float64))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        photo = image.convert("RGBA")
        seen = to_srgb(photo.convert("L" if image.mode in ("L", "LA", "La") else "RGB"), profile)
        seen.putalpha(photo.getchannel("A"))
        white = Image.new("RGBA", photo.size, "white")
        return np.array(Image.alpha_composite(white, seen).convert("RGB"))
    return _pixels(to_srgb(image, profile))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring an image to sRGB by its profile; without one, or with a damaged one, as Pillow converts its mode.

    Args:
        image: any mode of 8 bits without alpha; may be changed in place.
        profile: the ICC profile as embedded.

    Returns:
        Mode RGB.

    Raises:
        ValueError: a mode that Pillow cannot convert.
    """
    if image.mode not in _READY:
        image = image.convert("RGB")
    transform = srgb_transform(profile, image.mode) if profile else None
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return transform.apply(image, image if image.mode == "RGB" else None)


@lru_cache(maxsize=16)  # building one takes milliseconds, and a collection has few different profiles
def srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the way from a profile to sRGB, relative colorimetric with black point compensation.

    Args:
        profile: an ICC profile.
        mode: RGB, L or CMYK, as Pillow has them.

    Returns:
        None where the pixels had better stay: the profile is sRGB already (judged by what it does to a grid
        of colours, not by its name), is damaged, or describes another kind of image.
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
    """Whether a transform changes colours that can be seen, and does not lose the picture."""
    sent = _sample(mode)
    [seen] = np.asarray(transform.apply(sent)).astype(int)
    black, grey, white = seen[[0, len(seen) // 2, -1]]
    if min(grey.min() - black.max(), white.min() - grey.max()) < _CONTRAST:
        return False
    return mode == "CMYK" or bool(np.abs(seen - np.asarray(sent.convert("RGB"))).max() > _ROUNDING)


def _sample(mode: str) -> Image.Image:
    """Colours to try a transform on, in one row: black first, grey in the middle, white last."""
    if mode == "CMYK":
        return Image.fromarray(np.array([[[255] * 4, [0, 0, 0, 127], [0] * 4]], np.uint8), "CMYK")
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    return Image.fromarray(np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(1, -1, 3))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """The array of an RGB image, strip by strip: Pillow hands its pixels over as a list of pieces, joined, copied."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _STRIP):
        strip = image.crop((0, top, image.width, min(top + _STRIP, image.height)))
        pixels[top : top + _STRIP] = np.asarray(strip)
    return pixels


def _grey_to_rgb(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bring greys of unknown depth to 8 bits: [0, 1] floats, 8-bit and 16-bit counts."""
    grey = np.nan_to_num(grey, posinf=0, neginf=0)
    peak = grey.max(initial=0)
    scale = 255.0 if 0 < peak <= 1 else 1.0 if peak <= 255 else 255 / 65535 if peak <= 65535 else 255 / peak
    levels = np.clip(np.round(grey * scale), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)
