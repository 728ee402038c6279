"""Colours: what a photo's embedded profile means, said in sRGB, which everything behind the decoder assumes."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

_ROUNDING = 2  # levels of 255: the sRGB profiles in use (HP, GIMP, Google) differ by at most 1, Display P3 by 96
_CONTRAST = 24  # levels from black to grey and grey to white, below which a profile is damaged; sound ones give 60
_READY = ("RGB", "L", "CMYK")  # the modes of Pillow whose profiles are looked at; LAB needs none


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
