"""Images on disk: listed in sorted order, encoded, written whole or not at all; toolkit.photos.decode reads them."""

import hashlib
import io
import operator
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from toolkit.errors import ConfigError

_SUFFIXES = """
    .jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .jp2 .j2k .jpx .mpo .avif .heic .heif
    .pgm .ppm .pbm .pnm .psd .tga
"""
PHOTO_SUFFIXES = frozenset(_SUFFIXES.split())
_WRITABLE = (".jpg", ".png", ".webp")
_LONGEST = 255  # bytes of a file name, on nearly every disk
_SEGMENT = 65_533  # bytes that fit into one segment of a JPEG, beside the two that give its length


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
    photos: list[str] = []
    others: Counter[str] = Counter()

    def walk(folder: str, inside: str) -> None:
        with os.scandir(folder) as entries:
            listed = sorted(
                entries, key=operator.attrgetter("name")
            )  # folder by folder: a million names at once would take twice the memory
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if leave_out is None or Path(entry.path) != leave_out:
                    walk(entry.path, f"{inside}{entry.name}/")
            elif (suffix := os.path.splitext(entry.name)[1].lower()) in PHOTO_SUFFIXES:
                if entry.is_symlink() or entry.is_file():  # a dead link, or a ring of them, becomes an `unreadable` row
                    photos.append(inside + entry.name)
                else:
                    others["(pipe or device)"] += 1
            else:
                others[suffix or "(none)"] += 1

    try:
        walk(str(root), "")
    except OSError as error:
        raise ConfigError(f"{error.filename}: this folder cannot be read ({error.strerror}); fix its rights") from error
    return photos, others


def encode_image(image: NDArray[np.uint8], suffix: str, quality: int = 95, exif: bytes | None = None) -> bytes:
    """Encode an image as the suffix says.

    Args:
        image: (H, W, 3) RGB uint8.
        suffix: ``.jpg`` (full colour resolution), ``.png`` or ``.webp``.
        quality: 1 to 100; PNG ignores it.
        exif: a block to write with it, as :meth:`toolkit.photos.decode.Photo.exif` gives it. Beyond 65,533 bytes
            it is left out of a JPEG, which could not hold it.

    Raises:
        ConfigError: another suffix.
    """
    if suffix not in _WRITABLE:
        raise ConfigError(f"cannot write {suffix!r} images; choose one of {', '.join(_WRITABLE)}")
    if suffix == ".jpg":
        data = bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorsubsampling="444"))
        if not exif or len(exif) > _SEGMENT:
            return data
        return b"".join((data[:2], b"\xff\xe1", (len(exif) + 2).to_bytes(2, "big"), exif, data[2:]))  # APP1 comes first
    buffer = io.BytesIO()
    if suffix == ".png":
        Image.fromarray(image).save(buffer, "PNG", compress_level=4, exif=exif or b"")
    else:
        Image.fromarray(image).save(buffer, "WEBP", quality=quality, exif=exif or b"")
    return buffer.getvalue()


def write_whole(path: Path, write: Callable[[Path], object] | bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename: readers see the old file or the new, never half.

    Args:
        path: where it shall be; missing folders are made. A name that is no Unicode may stand in the content too.
        write: the content, or a function that writes it to the path it is given.
    """
    partial, in_place = f"{path.parent}/{_partial(path.name)}", False
    try:
        if callable(write):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(Path(partial))
        else:
            _write_bytes(partial, write if isinstance(write, bytes) else write.encode(errors="surrogateescape"))
        os.replace(partial, path)  # noqa: PTH105  Path objects cost as much as the writing
        in_place = True
    finally:  # Ctrl-C included
        if not in_place:
            Path(partial).unlink(missing_ok=True)


def _partial(name: str) -> str:
    """The temporary name: hidden, and no longer than a name may be where the last one just fits."""
    name = f".{name}.part"
    return name if len(os.fsencode(name)) <= _LONGEST else f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.part"


def link_or_copy(file: Path, place: Path) -> None:
    """Put a file into another place whole: as a hard link where the disk knows them (many external ones do not)."""

    def make(partial: Path) -> None:
        partial.unlink(missing_ok=True)  # a killed run may have left it, and a link overwrites nothing
        try:
            partial.hardlink_to(file)
        except OSError:
            shutil.copyfile(file, partial)

    write_whole(place, make)


def _write_bytes(path: str, data: bytes) -> None:
    # no link is followed: who can write to OUT shall not choose what is overwritten
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(path, flags, 0o666)
    except FileNotFoundError:  # rarer than files are: asking first would cost every one of them
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, flags, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
