"""The EXIF block of a photo: how the photo lies, and what its crops may keep. Numbers: EXIF 2.32 (CIPA DC-008)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ExifTags import IFD, Base
from PIL.Image import Exif

# How stored pixels become upright ones, by orientation, and which of the stored axes (0: x, 1: y) that turns round.
UPRIGHT: dict[int, tuple[Callable[[NDArray[np.uint8]], NDArray[np.uint8]], tuple[int, ...]]] = {
    1: (lambda pixels: pixels, ()),
    2: (lambda pixels: pixels[:, ::-1], (0,)),
    3: (lambda pixels: pixels[::-1, ::-1], (0, 1)),
    4: (lambda pixels: pixels[::-1], (1,)),
    5: (lambda pixels: pixels.transpose(1, 0, 2), ()),
    6: (lambda pixels: np.rot90(pixels, -1), (1,)),
    7: (lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2), (0, 1)),
    8: (lambda pixels: np.rot90(pixels), (0,)),
}

# Of the main directory, what describes the photo; the rest describes its file: a TIFF keeps strips and palettes here.
_KEPT = (
    Base.ImageDescription,
    Base.Make,
    Base.Model,
    Base.XResolution,
    Base.YResolution,
    Base.ResolutionUnit,
    Base.Software,
    Base.DateTime,
    Base.Artist,
    Base.HostComputer,
    Base.Copyright,
    Base.Rating,
    Base.RatingPercent,
    Base.XPTitle,
    Base.XPComment,
    Base.XPAuthor,
    Base.XPKeywords,
    Base.XPSubject,
)

# Of the camera's directory, what a crop in sRGB makes wrong.
_DROPPED = (
    Base.ComponentsConfiguration,
    Base.CompressedBitsPerPixel,
    0x9214,  # SubjectArea, in pixels of the photo
    Base.MakerNote,  # its offsets count from where it lay
    Base.ExifImageWidth,
    Base.ExifImageHeight,
    Base.ExifInteroperabilityOffset,  # may say Adobe RGB
    Base.SubjectLocation,
    Base.Gamma,
)


def crop_exif(tags: Exif) -> bytes | None:
    """Write the part of a photo's tags that still holds for an upright sRGB crop of it.

    Left out: orientation, thumbnail, sizes and places in pixels, the maker's notes.

    Args:
        tags: as Pillow reads them; it leaves out what it cannot read.

    Returns:
        The block, from ``Exif`` and two zeros on; None if nothing is left.

    Raises:
        toolkit.photos.decode.BAD_FILE_ERRORS: values that no block can hold, from a damaged one.
    """
    kept = Exif()
    for tag in _KEPT:
        if tag in tags:
            kept[tag] = tags[tag]
    camera: dict[int, Any] = {tag: value for tag, value in tags.get_ifd(IFD.Exif).items() if tag not in _DROPPED}
    if camera:
        kept[IFD.Exif] = camera | {Base.ColorSpace: 1}  # sRGB
    if place := tags.get_ifd(IFD.GPSInfo):
        kept[IFD.GPSInfo] = place
    return kept.tobytes() if len(kept) else None
