"""Photos as a person sees them: upright, RGB, sRGB, 8 bits, decoded no larger than somebody asks for."""

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

# What Pillow was seen to raise on damaged files (its own test images, truncated and fuzzed); anything else is our bug.
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
MOST_BYTES = 512 << 20  # of a file: four times the largest photo that a camera writes
MOST_PIXELS = 178_956_970  # of a photo: what Pillow bears by default, told here so that nobody's setting lifts it

# Forms that Pillow decodes in Python, a million samples a second: run-length BMP, PPM in letters or of odd depth.
_SLOW = ("bmp_rle", "ppm_plain", "ppm")
MOST_SLOW = 8 << 20  # samples of such a photo: seconds, not minutes

# What is asked whether it knows a file. Pillow knows more: EPS would be run by Ghostscript, others call for programs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "JPEG2000", "AVIF", "PPM", "PSD", "TGA")

# libjpeg scales by any eighth, but has fast code for these alone: 3/8 takes longer than 1/2, 5/8 longer than all.
_REDUCTIONS = (1 / 8, 1 / 4, 1 / 2)

# ISO/IEC 23008-12, annex B: the brands of HEIF files, usually with HEVC inside. Of these Pillow reads AVIF alone.
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises:
        PhotoFailed: ``unreadable`` when the system says no, or it is a pipe or a device, which might never end;
            ``not-an-image`` when it is empty.
        PhotoRejected: ``too-large`` beyond 512 MB.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise PhotoFailed("unreadable", "no regular file: a folder, a pipe or a device")
            if status.st_size > MOST_BYTES:
                said = f"{status.st_size:,} bytes, the bound is {MOST_BYTES:,}; scale it down first"
                raise PhotoRejected("too-large", said)
            data = file.read(status.st_size)  # takes the room before it reads, and what is added meanwhile can wait
    except OSError as error:
        raise PhotoFailed("unreadable", f"{error.strerror}") from error
    if not data:
        raise PhotoFailed("not-an-image", "the file is empty (0 bytes)")
    return data


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read a photo file as :func:`decode_photo` does."""
    return decode_photo(read_bytes(path))


def decode_photo(data: bytes) -> NDArray[np.uint8]:
    """Decode a whole photo: (H, W, 3) RGB uint8; what is done to it, and the errors: see :class:`Photo`."""
    return Photo(data).pixels()[0]


class Photo:
    """One photo, decoded to what a person would see, and only as large as somebody asks for.

    The first frame; the EXIF orientation is applied, an embedded colour profile is turned into sRGB,
    transparency is laid over white, 16-bit and float greys are scaled to 8 bits.

    Args:
        data: the bytes of the file. Only the header is read here.

    Raises:
        PhotoFailed: ``not-an-image`` if no format fits, ``unreadable`` if the data is damaged. Damage behind
            the header shows in the methods, which raise the same.
        PhotoRejected: ``too-large`` beyond 179 million pixels; beyond 8 million samples in the rare forms that
            are slow to decode (run-length BMP, PPM in letters or of other depths than 8 bits).
    """

    def __init__(self, data: bytes) -> None:
        try:
            image = _open(data)
        except READ_ERRORS as error:
            raise _named(error) from error
        if math.prod(image.size) > MOST_PIXELS:
            raise _too_large()
        samples = math.prod(image.size) * len(image.getbands())
        if samples > MOST_SLOW and any(tile[0] in _SLOW for tile in getattr(image, "tile", ())):
            said = f"{samples:,} samples in a form that takes minutes to decode, the bound is {MOST_SLOW:,}"
            raise PhotoRejected("too-large", f"{said}; convert it to PNG first")
        self._data = data
        self._jpeg = image.format in ("JPEG", "MPO")  # MPO: a JPEG with more of them behind it
        self._fast = self._jpeg and image.mode == "RGB"
        # No block, no question: asking Pillow for an empty one takes a fourth of the time that the header takes.
        self._tags = _tags(image) if self._jpeg and ("exif" in image.info or "xmp" in image.info) else None
        self._stored = image.size  # (width, height), not yet upright
        self._profile = _profile(image)
        self._image = None if self._fast else image  # what Pillow shall decode
        self._decoded: tuple[NDArray[np.uint8], float] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright photo at full size, pixels.

        Forms other than JPEG are decoded for it: some say only behind the pixels how they lie.
        """
        if not self._jpeg:
            height, width = self.pixels()[0].shape[:2]
            return width, height
        return self._stored[::-1] if self._orientation > 4 else self._stored

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """Decode the photo at a scale or somewhat finer.

        JPEGs are reduced while they are decoded, which is several times faster; all else comes whole. The last
        decode is kept: asking again for its scale or a coarser one costs nothing.

        Args:
            scale: pixels wanted per pixel of the photo; above 1 counts as 1.

        Returns:
            (H, W, 3) RGB uint8, shared with later callers, so not to be written into; and its true scale, 1/8,
            1/4, 1/2 or 1. Pixel centres: ``x = (x_reduced + 0.5) / scale - 0.5`` on both axes. Where the
            division leaves a rest, the reduced photo reaches over the right and lower edge by part of a pixel.

        Raises:
            PhotoFailed, PhotoRejected: as the class says.
        """
        factor = self._reduction(scale)
        if self._decoded is None or self._decoded[1] < factor:
            try:
                self._decoded = self._decode(factor)
            except READ_ERRORS as error:
                raise _named(error) from error
        return self._decoded

    def exif(self) -> bytes | None:
        """The photo's EXIF block, fit for an upright crop of it: :func:`toolkit.photos.files.encode_image` takes it.

        None if there was none, it is damaged, or nothing of it holds for a crop
        (:func:`toolkit.photos.exif.crop_exif`).

        Raises:
            PhotoFailed, PhotoRejected: as :attr:`size` does, for forms other than JPEG.
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
        """1 to 8; 1 also where the block is damaged: the pixels are none the worse."""
        try:
            value = int(self._tags.get(ExifTags.Base.Orientation, 1)) if self._tags else 1
        except BAD_FILE_ERRORS:
            return 1
        return value if value in UPRIGHT else 1

    def _reduction(self, scale: float) -> float:
        """The coarsest scale to decode at that is not below the one wanted.

        An axis that is turned round must divide without a rest: its far edge becomes the near one, and
        with a rest there every pixel centre would be off.
        """
        if scale <= _REDUCTIONS[-1] and self._fast and min(self._stored) >= 8:  # 8: below, sizes of two scales coincide
            _, mirrored = UPRIGHT[self._orientation]
            for factor in _REDUCTIONS:
                if factor >= scale and all((self._stored[axis] * factor).is_integer() for axis in mirrored):
                    return factor
        return 1.0

    def _decode(self, factor: float) -> tuple[NDArray[np.uint8], float]:
        pixels = _decode_jpeg(self._data, self._stored, factor) if self._fast else None
        if pixels is None:
            factor = 1.0
            image, self._image = self._image or _open(self._data), None  # let go: it keeps its own copy of the pixels
            with warnings.catch_warnings(action="ignore"):
                image.load()
                pixels = to_rgb(image, _profile(image))
            self._tags = _tags(image)  # after load(): it applies a TIFF's own orientation itself
        elif self._profile and srgb_transform(self._profile, "RGB"):
            pixels = np.array(to_srgb(Image.fromarray(pixels), self._profile))
        turn, _ = UPRIGHT[self._orientation]
        return np.ascontiguousarray(turn(pixels)), factor


def _named(error: Exception) -> PhotoError:
    """What Pillow raised, as one of the errors that :class:`Photo` promises."""
    if isinstance(error, Image.DecompressionBombError):
        return _too_large()
    if isinstance(error, MemoryError):
        return PhotoFailed("out-of-memory", "its decoder wants more memory than it may have; scale it down first")
    if isinstance(error, UnidentifiedImageError):
        return PhotoFailed("not-an-image", "the content is no image format that is read here")
    said = (str(error).splitlines() or [""])[0][:200]
    return PhotoFailed("unreadable", f"the file is damaged or cut short ({type(error).__name__}: {said})")


def _too_large() -> PhotoRejected:
    return PhotoRejected("too-large", f"more than {MOST_PIXELS:,} pixels; scale it down first")


def _open(data: bytes) -> Image.Image:
    """Read the header; HEIF through pillow-heif, which is loaded for the first such photo."""
    with warnings.catch_warnings(action="ignore"):  # a damaged tag is no reason to fill the screen
        try:
            return Image.open(io.BytesIO(data), formats=_known(_FORMATS))
        except UnidentifiedImageError:
            if data[4:8] != b"ftyp" or data[8:12] not in _HEIF_BRANDS:
                raise
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise PhotoFailed("unreadable", "HEIC photos need one more package: pip install pillow-heif") from error
        return Image.open(io.BytesIO(data), formats=_known(("HEIF",)))


def _known(formats: tuple[str, ...]) -> list[str]:
    """Those that this Pillow reads: older ones know no AVIF."""
    Image.init()
    return [name for name in formats if name in Image.OPEN]


def _profile(image: Image.Image) -> bytes | None:
    profile = image.info.get("icc_profile")
    return profile if isinstance(profile, bytes) else None


def _tags(image: Image.Image) -> Image.Exif | None:
    """What the photo's EXIF or XMP says; None if it has none, or it is damaged."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return image.getexif()
    except BAD_FILE_ERRORS:
        return None


def _decode_jpeg(data: bytes, size_wh: tuple[int, int], factor: float) -> NDArray[np.uint8] | None:
    """The pixels that Pillow would give, in half the time; None if libjpeg warns: Pillow knows what to forgive."""
    width, height = (math.ceil(side * factor) for side in size_wh)
    try:
        pixels = np.asarray(simplejpeg.decode_jpeg(data, min_height=height, min_width=width, strict=True), np.uint8)
    except ValueError:
        return None
    return pixels if pixels.shape[:2] == (height, width) else None
