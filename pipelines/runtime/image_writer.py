"""How bulk runs write images: whole, or not at all."""

from pathlib import Path
from typing import Protocol

from pipelines.runtime.stage_timer import stage
from toolkit.errors import PhotoFailed
from toolkit.photos.files import encode_image, write_atomic
from toolkit.photos.types import Image

WRITERS = 2  # threads, or processes, that write the faces of a network


class OutputFormat(Protocol):
    """How images are encoded: what the configs of several commands have in common."""

    @property
    def format(self) -> str:
        """``jpg``, ``png`` or ``webp``."""
        ...

    @property
    def quality(self) -> int:
        """Of JPEG and WebP, 1 to 100."""
        ...


def encode_output(image: Image, output: OutputFormat, exif: bytes | None = None) -> bytes:
    """Encode an image, (H, W, 3) RGB uint8, as a stage of its own."""
    with stage("encode"):
        return encode_image(image, f".{output.format}", output.quality, exif)


def write_output(path: Path, data: bytes) -> None:
    """Write one encoded image, whole.

    Raises:
        PhotoFailed: ``unwritable``: a full disk or a forbidden folder fails this photo, not the run.
    """
    try:
        with stage("write"):
            write_atomic(path, data)
    except OSError as error:
        raise PhotoFailed("unwritable", f"{path}: {error.strerror}") from error
