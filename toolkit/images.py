"""Photos on disk: listed in sorted order, read upright as RGB, written whole or not at all."""

import io
import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected

_SUFFIXES = """
    .jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .jp2 .j2k .jpx .mpo .avif .heic .heif
    .pgm .ppm .pbm .pnm .psd .tga
"""
PHOTO_SUFFIXES = frozenset(_SUFFIXES.split())

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

_WRITABLE = (".jpg", ".png", ".webp")


def list_photos(root: Path, leave_out: Path | None = None) -> tuple[list[str], Counter[str]]:
    """Find every photo under a folder, in an order that is the same on every machine.

    Hidden files and folders are passed over. Links to files are followed, links to folders
    are not: a link that points upwards would never end.

    Args:
        root: the folder to walk.
        leave_out: a folder inside it that is not searched (usually the output).

    Returns:
        Paths relative to root, with ``/``, sorted by their parts; and how many files of
        other kinds were passed over, by suffix, so that nothing goes missing unsaid.

    Raises:
        ConfigError: a folder cannot be read.
    """
    photos: list[tuple[str, ...]] = []
    others: Counter[str] = Counter()

    def walk(folder: str, parts: tuple[str, ...]) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if leave_out is None or Path(entry.path) != leave_out:
                        walk(entry.path, (*parts, entry.name))
                elif (suffix := os.path.splitext(entry.name)[1].lower()) in PHOTO_SUFFIXES:
                    if entry.is_file() or entry.is_symlink():  # a dead link becomes an `unreadable` row
                        photos.append((*parts, entry.name))
                else:
                    others[suffix or "(none)"] += 1

    try:
        walk(str(root), ())
    except OSError as error:
        raise ConfigError(f"{error.filename}: this folder cannot be read ({error.strerror}); fix its rights") from error
    return ["/".join(parts) for parts in sorted(photos)], others


def read_bytes(path: Path) -> bytes:
    """Read a whole file; PhotoFailed ``unreadable`` when the system says no, ``not-an-image`` when it is empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PhotoFailed("unreadable", f"{error.strerror}") from error
    if not data:
        raise PhotoFailed("not-an-image", "the file is empty (0 bytes)")
    return data


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Read a photo file as :func:`decode_photo` does."""
    return decode_photo(read_bytes(path))


def decode_photo(data: bytes) -> NDArray[np.uint8]:
    """Decode any photo to what a person would see: upright, RGB, 8 bits, the first frame.

    The EXIF orientation is applied, transparency is laid over white, 16-bit and float greys
    are scaled to 8 bits.

    Args:
        data: the bytes of the file.

    Returns:
        (H, W, 3) RGB uint8.

    Raises:
        PhotoFailed: ``not-an-image`` if no format fits, ``unreadable`` if the data is damaged.
        PhotoRejected: ``too-large`` beyond Pillow's bound of 179 million pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning about a damaged tag is no reason to fill the screen
            with Image.open(io.BytesIO(data)) as image:
                pixels = _decode_jpeg(data) if (image.format, image.mode) == ("JPEG", "RGB") else None
                if pixels is None:
                    image.load()
                    pixels = _to_rgb(image)
                turn = _UPRIGHT.get(_orientation(image))  # after load(): it applies a TIFF's own orientation itself
                return pixels if turn is None else np.ascontiguousarray(turn(pixels))
    except Image.DecompressionBombError as error:
        bound = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise PhotoRejected("too-large", f"more than {bound:,} pixels; scale it down first") from error
    except UnidentifiedImageError as error:
        raise PhotoFailed("not-an-image", "the content is no image format that Pillow knows") from error
    except BAD_FILE_ERRORS as error:
        raise PhotoFailed("unreadable", f"{type(error).__name__}: {error}".splitlines()[0][:200]) from error


def _decode_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels that Pillow would give, in half the time; None if libjpeg warns: Pillow knows what to forgive."""
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, strict=True), np.uint8)
    except ValueError:
        return None


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 also where the block is damaged: the pixels are none the worse."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except BAD_FILE_ERRORS:
        return 1


# EXIF 2.3, tag 274: how stored pixels become upright ones.
_UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels),
}


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode == "RGB":
        return np.array(image)
    if image.mode.startswith("I;16"):
        return _grey_to_rgb(np.array(image).astype(np.float64) / 65535)
    if image.mode in ("I", "F"):
        return _grey_to_rgb(np.array(image).astype(np.float64))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        photo = image.convert("RGBA")
        white = Image.new("RGBA", photo.size, "white")
        return np.array(Image.alpha_composite(white, photo).convert("RGB"))
    return np.array(image.convert("RGB"))


def _grey_to_rgb(grey: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Bring greys of unknown depth to 8 bits: [0, 1] floats, 8-bit and 16-bit counts."""
    grey = np.nan_to_num(grey, posinf=0, neginf=0)
    peak = grey.max(initial=0)
    scale = 255.0 if 0 < peak <= 1 else 1.0 if peak <= 255 else 255 / 65535 if peak <= 65535 else 255 / peak
    levels = np.clip(np.round(grey * scale), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def encode_image(image: NDArray[np.uint8], suffix: str, quality: int = 95) -> bytes:
    """Encode an image as the suffix says.

    Args:
        image: (H, W, 3) RGB uint8.
        suffix: ``.jpg`` (full colour resolution), ``.png`` or ``.webp``.
        quality: 1 to 100; PNG ignores it.

    Raises:
        ConfigError: another suffix.
    """
    if suffix not in _WRITABLE:
        raise ConfigError(f"cannot write {suffix!r} images; choose one of {', '.join(_WRITABLE)}")
    if suffix == ".jpg":
        return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorsubsampling="444"))
    buffer = io.BytesIO()
    if suffix == ".png":
        Image.fromarray(image).save(buffer, "PNG", compress_level=4)
    else:
        Image.fromarray(image).save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()


def write_whole(path: Path, write: Callable[[Path], object] | bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename: readers see the old file or the new, never half.

    Args:
        path: where it shall be; missing folders are made.
        write: the content, or a function that writes it to the path it is given.
    """
    partial = path.with_name(f".{path.name}.part")
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if isinstance(write, bytes):
            partial.write_bytes(write)
        elif isinstance(write, str):
            partial.write_text(write, encoding="utf-8")
        else:
            write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)  # still there only if something went wrong, Ctrl-C included
