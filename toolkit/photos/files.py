"""Image files: listing, encoding and atomic writing; toolkit.photos.decode reads them."""

import hashlib
import io
import operator
import os
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
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
_MAX_NAME_BYTES = 255  # on nearly every file system
_MAX_SEGMENT_BYTES = 65_533  # payload of a JPEG segment, without the two bytes of its length


def list_photos(root: Path, exclude: Path | None = None) -> tuple[list[str], Counter[str]]:
    """List the photos under a folder, by their suffix, in an order that is the same on every machine.

    Hidden files and folders are skipped. Links to files are followed; links to folders are not,
    since a link to a parent would recurse without end.

    Args:
        root: the folder to search, with its subfolders.
        exclude: a folder inside it that is not searched (usually the output).

    Returns:
        Paths relative to root, with ``/``, sorted by their parts; and the number of other files
        that were skipped, by suffix.

    Raises:
        ConfigError: a folder cannot be read.
    """
    photos: list[str] = []
    others: Counter[str] = Counter()

    def walk(folder: str, inside: str) -> None:
        with os.scandir(folder) as entries:
            # Sorted folder by folder: sorting a million paths at once takes twice the memory.
            listed = sorted(entries, key=operator.attrgetter("name"))
        for entry in listed:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                if exclude is None or Path(entry.path) != exclude:
                    walk(entry.path, f"{inside}{entry.name}/")
            elif (suffix := os.path.splitext(entry.name)[1].lower()) in PHOTO_SUFFIXES:
                if entry.is_symlink() or entry.is_file():  # a broken link is reported as `unreadable`
                    photos.append(inside + entry.name)
                else:
                    others["(pipe or device)"] += 1
            else:
                others[suffix or "(none)"] += 1

    try:
        walk(str(root), "")
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read ({error.strerror}); fix its permissions") from error
    return photos, others


def encode_image(image: NDArray[np.uint8], suffix: str, quality: int = 95, exif: bytes | None = None) -> bytes:
    """Encode an image in the format of a suffix.

    Args:
        image: (H, W, 3) RGB uint8.
        suffix: ``.jpg`` (without chroma subsampling), ``.png`` or ``.webp``.
        quality: 1 to 100; PNG ignores it.
        exif: an EXIF block to embed, from :meth:`toolkit.photos.decode.Photo.exif`. In a JPEG it is omitted
            if it has more than 65,533 bytes, the limit of the format.

    Raises:
        ConfigError: the suffix is another.
    """
    if suffix not in _WRITABLE:
        raise ConfigError(f"cannot write {suffix!r} images; choose one of {', '.join(_WRITABLE)}")
    if suffix == ".jpg":
        data = bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality, colorsubsampling="444"))
        if not exif or len(exif) > _MAX_SEGMENT_BYTES:
            return data
        return b"".join((data[:2], b"\xff\xe1", (len(exif) + 2).to_bytes(2, "big"), exif, data[2:]))  # APP1 comes first
    buffer = io.BytesIO()
    if suffix == ".png":
        Image.fromarray(image).save(buffer, "PNG", compress_level=4, exif=exif or b"")
    else:
        Image.fromarray(image).save(buffer, "WEBP", quality=quality, exif=exif or b"")
    return buffer.getvalue()


def write_atomic(path: Path, write: Callable[[Path], object] | bytes | str) -> None:
    """Write a file atomically: under a temporary name in the same folder, then renamed.

    Args:
        path: of the file; missing folders are created.
        write: the content, or a function that writes it to a given path. Text may contain file names that are not
            valid Unicode (surrogate escapes).
    """
    partial, in_place = f"{path.parent}/{_temporary_name(path.name)}", False
    try:
        if callable(write):
            path.parent.mkdir(parents=True, exist_ok=True)
            write(Path(partial))
        else:
            _write_bytes(partial, write if isinstance(write, bytes) else write.encode(errors="surrogateescape"))
        os.replace(partial, path)  # noqa: PTH105  Path objects take as much time as the writing
        in_place = True
    finally:  # Ctrl-C included
        if not in_place:
            Path(partial).unlink(missing_ok=True)


def _temporary_name(name: str) -> str:
    """Return a hidden name, which is no longer than a file name may be."""
    name = f".{name}.part"
    if len(os.fsencode(name)) <= _MAX_NAME_BYTES:
        return name
    return f".{hashlib.sha256(os.fsencode(name)).hexdigest()}.part"


def link_or_copy(file: Path, target: Path) -> None:
    """Create a file as a hard link to another, or as a copy where the file system has no hard links."""
    with suppress(OSError):  # there is no target yet
        if os.path.samestat(os.lstat(target), os.stat(file)):  # noqa: PTH116
            return  # renaming a link to another link of the same file does nothing, and would leave both

    def make(partial: Path) -> None:
        partial.unlink(missing_ok=True)  # left by a killed run; a link does not overwrite
        try:
            partial.hardlink_to(file)
        except OSError:
            shutil.copyfile(file, partial)

    write_atomic(target, make)


def ensure_link(file: Path, target: Path, overwrite: bool) -> None:
    """Do as :func:`link_or_copy`, unless the target is that file already and not to be overwritten."""
    if overwrite or not (target.exists() and target.samefile(file)):
        link_or_copy(file, target)


def _write_bytes(path: str, data: bytes) -> None:
    # O_NOFOLLOW: a link placed in the output folder must not redirect the writing to another file.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        handle = os.open(path, flags, 0o666)
    except FileNotFoundError:  # rare; a check before each file would cost more
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, flags, 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
