"""Decoding of photo files to upright 8-bit sRGB images, no larger than needed."""

import importlib
import io
import math
import os
import stat
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.photos.color import srgb_transform, to_rgb, to_srgb
from toolkit.photos.exif import UPRIGHT, crop_exif

# Errors that Pillow raises on damaged files, found with its own test images, truncated and fuzzed.
BAD_FILE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
READ_ERRORS = (*BAD_FILE_ERRORS, Image.DecompressionBombError)
MAX_BYTES = 512 << 20  # of a file: four times the largest photo that a camera writes
MAX_PIXELS = 178_956_970  # of a photo: Pillow's default, repeated here so that no setting of Pillow raises it

# Pillow's decoders that are written in Python, a million samples a second: run-length BMP, text PPM, PPM of odd depth.
_SLOW_DECODERS = ("bmp_rle", "ppm_plain", "ppm")
MAX_SLOW_SAMPLES = 8 << 20  # of such a photo: seconds, not minutes

# Formats that are tried. Pillow has more, some of which run other programs, as EPS runs Ghostscript.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "JPEG2000", "AVIF", "PPM", "PSD", "TGA")

# libjpeg scales by any multiple of 1/8, but has fast code for these only: 3/8 takes longer than 1/2, 5/8 than 1.
_REDUCTIONS = (1 / 8, 1 / 4, 1 / 2)

# Brands of HEIF files, usually with HEVC data, which Pillow does not read: ISO/IEC 23008-12, annex B.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        PhotoFailed: ``unreadable`` if it cannot be opened, or is a pipe or a device, which may never end;
            ``not-an-image`` if it is empty.
        PhotoRejected: ``too-large``, more than 512 MB.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PhotoFailed("unreadable", "not a regular file, but a folder, a pipe or a device")
            if status.st_size > MAX_BYTES:
                detail = f"{status.st_size:,} bytes, the limit is {MAX_BYTES:,}; scale it down first"
                raise PhotoRejected("too-large", detail)
            data = file.read(status.st_size)  # allocates once, and ignores what is appended meanwhile
    except OSError as error:
        raise PhotoFailed("unreadable", f"{error.strerror}") from error
    if not data:
        raise PhotoFailed("not-an-image", "the file is empty (0 bytes)")
    return data


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read a photo file as :func:`decode_photo` does."""
    return decode_photo(read_bytes(path))


def decode_photo(data: bytes) -> NDArray[np.uint8]:
    """Decode a photo at full size: (H, W, 3) RGB uint8. See :class:`Photo` for the conversions and the errors."""
    return Photo(data).pixels()[0]


class Photo:
    """One encoded photo, decoded at the scale that is asked for.

    The first frame is taken. The EXIF orientation is applied, an embedded color profile is converted to sRGB,
    transparency is blended with white, 16-bit and float grays are scaled to 8 bits.

    Args:
        data: the bytes of the file. The constructor reads only the header.

    Raises:
        PhotoFailed: ``not-an-image`` if no format fits, ``unreadable`` if the data is damaged. Damage after
            the header is found by the methods, which raise the same errors.
        PhotoRejected: ``too-large``, more than 179 million pixels, or more than 8 million samples in the rare
            formats that are slow to decode (run-length BMP, PPM as text or of other depths than 8 bits).
    """

    def __init__(self, data: bytes) -> None:
        try:
            image = _open(data)
        except READ_ERRORS as error:
            raise _photo_error(error) from error
        if math.prod(image.size) > MAX_PIXELS:
            raise _too_large()
        samples = math.prod(image.size) * len(image.getbands())
        if samples > MAX_SLOW_SAMPLES and any(tile[0] in _SLOW_DECODERS for tile in getattr(image, "tile", ())):
            detail = f"{samples:,} samples in a format that takes minutes to decode, the limit is {MAX_SLOW_SAMPLES:,}"
            raise PhotoRejected("too-large", f"{detail}; convert it to PNG first")
        self._data = data
        self._jpeg = image.format in ("JPEG", "MPO")  # MPO: several JPEGs in one file
        self._fast = self._jpeg and image.mode == "RGB"
        # Skipped without an EXIF block: for an empty one Pillow takes a fourth of the time of the header.
        self._tags = _tags(image) if self._jpeg and ("exif" in image.info or "xmp" in image.info) else None
        self._stored_size = image.size  # (width, height), before the EXIF orientation is applied
        self._profile = _profile(image)
        self._image = None if self._fast else image  # decoded by Pillow
        self._decoded: tuple[NDArray[np.uint8], float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo at full size, pixels.

        Formats other than JPEG are decoded for it: some store the orientation after the pixels.
        """
        if not self._jpeg:
            height, width = self.pixels()[0].shape[:2]
            return width, height
        return self._stored_size[::-1] if self._orientation > 4 else self._stored_size

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """Decode the photo at a scale or somewhat finer.

        JPEGs are reduced while they are decoded, which is several times faster; other formats are decoded at
        full size. The last result is kept, and returned again for its scale and coarser ones.

        Args:
            scale: pixels per pixel of the photo; values above 1 mean 1.

        Returns:
            (H, W, 3) RGB uint8, not to be modified since later calls return the same array; and its scale, 1/8,
            1/4, 1/2 or 1. Pixel centers: ``x = (x_reduced + 0.5) / scale - 0.5`` on both axes. If a side is not
            divisible, the last pixel of the reduced photo lies partly outside the right or lower edge.

        Raises:
            PhotoFailed, PhotoRejected: as the class documents.
        """
        factor = self._reduction(scale)
        if self._decoded is None or self._decoded[1] < factor:
            try:
                self._decoded = self._decode(factor)
            except READ_ERRORS as error:
                raise _photo_error(error) from error
        return self._decoded

    def exif(self) -> bytes | None:
        """Return an EXIF block for an upright crop of the photo, for :func:`toolkit.photos.files.encode_image`.

        None if the photo has none, it is damaged, or nothing in it holds for a crop; see
        :func:`toolkit.photos.exif.crop_exif`.

        Raises:
            PhotoFailed, PhotoRejected: as :attr:`size` does, for formats other than JPEG.
        """
        if not self._jpeg:
            self.pixels()
        if self._tags is None:
            return None
        try:
            with warnings.catch_warnings(action="ignore"):
                return crop_exif(self._tags)
        except BAD_FILE_ERRORS:
            return None

    @property
    def _orientation(self) -> int:
        """EXIF orientation, 1 to 8; 1 if the block is damaged, since the pixels may be intact."""
        try:
            value = int(self._tags.get(ExifTags.Base.Orientation, 1)) if self._tags else 1
        except BAD_FILE_ERRORS:
            return 1
        return value if value in UPRIGHT else 1

    def _reduction(self, scale: float) -> float:
        """Return the coarsest scale to decode at that is not below a given one.

        An axis that the orientation reverses must be divisible: its far edge becomes the near one, so a
        remainder there would shift all pixel centers.
        """
        is_large = min(self._stored_size) >= 8  # below, two scales give one size
        if scale <= _REDUCTIONS[-1] and self._fast and is_large:
            _, reversed_axes = UPRIGHT[self._orientation]
            for factor in _REDUCTIONS:
                if factor >= scale and all((self._stored_size[axis] * factor).is_integer() for axis in reversed_axes):
                    return factor
        return 1.0

    def _decode(self, factor: float) -> tuple[NDArray[np.uint8], float]:
        pixels = _decode_jpeg(self._data, self._stored_size, factor) if self._fast else None
        if pixels is None:
            factor = 1.0
            image, self._image = self._image or _open(self._data), None  # released: it holds a copy of the pixels
            with warnings.catch_warnings(action="ignore"):
                image.load()
                pixels = to_rgb(image, _profile(image))
            self._tags = _tags(image)  # after load(), which applies a TIFF's orientation
        elif self._profile and srgb_transform(self._profile, "RGB"):
            pixels = np.array(to_srgb(Image.fromarray(pixels), self._profile))
        to_upright, _ = UPRIGHT[self._orientation]
        return np.ascontiguousarray(to_upright(pixels)), factor


def _photo_error(error: Exception) -> PhotoError:
    """Convert an error raised by Pillow to the one that :class:`Photo` documents."""
    if isinstance(error, Image.DecompressionBombError):
        return _too_large()
    if isinstance(error, MemoryError):
        return PhotoFailed("out-of-memory", "its decoder needs more memory than allowed; scale it down first")
    if isinstance(error, UnidentifiedImageError):
        return PhotoFailed("not-an-image", "the content is not of a supported image format")
    message = (str(error).splitlines() or [""])[0][:200]
    return PhotoFailed("unreadable", f"the file is damaged or truncated ({type(error).__name__}: {message})")


def _too_large() -> PhotoRejected:
    return PhotoRejected("too-large", f"more than {MAX_PIXELS:,} pixels; scale it down first")


def _open(data: bytes) -> Image.Image:
    """Read the header; HEIF needs pillow-heif, which is imported for the first such photo."""
    with warnings.catch_warnings(action="ignore"):  # about damaged tags
        try:
            return Image.open(io.BytesIO(data), formats=_supported(_FORMATS))
        except UnidentifiedImageError:
            if data[4:8] != b"ftyp" or data[8:12] not in _HEIF_BRANDS:
                raise
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise PhotoFailed("unreadable", "HEIC photos need an optional package: pip install pillow-heif") from error
        return Image.open(io.BytesIO(data), formats=_supported(("HEIF",)))


def _supported(formats: tuple[str, ...]) -> list[str]:
    """Return the formats that the installed Pillow reads: older ones lack AVIF."""
    Image.init()
    return [name for name in formats if name in Image.OPEN]


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def _tags(image: Image.Image) -> Image.Exif | None:
    """Read the EXIF tags, or those of the XMP; None if there are none or they are damaged."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return image.getexif()
    except BAD_FILE_ERRORS:
        return None


def _decode_jpeg(data: bytes, size_wh: tuple[int, int], factor: float) -> NDArray[np.uint8] | None:
    """Decode with libjpeg-turbo: Pillow's pixels in half the time; None on any warning, which Pillow may tolerate."""
    width, height = (math.ceil(side * factor) for side in size_wh)
    try:
        pixels = np.asarray(simplejpeg.decode_jpeg(data, min_height=height, min_width=width, strict=True), np.uint8)
    except ValueError:
        return None
    return pixels if pixels.shape[:2] == (height, width) else None
