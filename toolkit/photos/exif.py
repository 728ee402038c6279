"""EXIF data of a photo: its orientation, and the tags that hold for its crops too. Source: EXIF 2.32 (CIPA DC-008)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL.ExifTags import IFD, Base
from PIL.Image import Exif

# Orientation -> function from stored to upright pixels, and the stored axes (0: x, 1: y) that it reverses.
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

# Tags of the main directory that describe the photo; the others describe its file, as a TIFF's strips and palettes.
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

# Tags of the Exif directory that are wrong for an sRGB crop.
_DROPPED = (
    Base.ComponentsConfiguration,
    Base.CompressedBitsPerPixel,
    0x9214,  # SubjectArea, in pixels of the photo
    Base.MakerNote,  # its offsets are relative to its old position
    Base.ExifImageWidth,
    Base.ExifImageHeight,
    Base.ExifInteroperabilityOffset,  # may declare Adobe RGB
    Base.SubjectLocation,
    Base.Gamma,
)


def crop_exif(tags: Exif) -> bytes | None:
    """Serialize those of a photo's tags that also hold for an upright sRGB crop of it.

    Orientation, thumbnail, sizes and positions in pixels, and the maker's notes are omitted.

    Args:
        tags: as Pillow reads them; it omits unreadable ones.

    Returns:
        The EXIF block, beginning with ``Exif`` and two zeros; None if no tag is left.

    Raises:
        toolkit.photos.decode.BAD_FILE_ERRORS: a damaged block has values that cannot be written.
    """
    kept = Exif()
    for tag in _KEPT:
        if tag in tags:
            kept[tag] = tags[tag]
    camera: dict[int, Any] = {tag: value for tag, value in tags.get_ifd(IFD.Exif).items() if tag not in _DROPPED}
    if camera:
        kept[IFD.Exif] = camera | {Base.ColorSpace: 1}  # sRGB
    if location := tags.get_ifd(IFD.GPSInfo):
        kept[IFD.GPSInfo] = location
    return kept.tobytes() if len(kept) else None
