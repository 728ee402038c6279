"""How bulk runs write images: whole, or not at all."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.runtime.stage_timer import lap
from toolkit.errors import PhotoFailed
from toolkit.photos.files import encode_image, write_whole

WRITERS = 2  # threads that write what a network made


class OutputForm(Protocol):
    """How images are written: what the configs of several verbs have in common."""

    @property
    def format(self) -> str:
        """jpg, png or webp."""
        ...

    @property
    def quality(self) -> int:
        """Of JPEG and WebP, 1 to 100."""
        ...

    @property
    def keep_exif(self) -> bool:
        """The photo's own EXIF goes along."""
        ...


def write_image(path: Path, image: NDArray[np.uint8], form: OutputForm, exif: bytes | None = None) -> None:
    """Encode and write one image."""
    with lap("encode"):
        data = encode_image(image, f".{form.format}", form.quality, exif)
    write_output(path, data)


def write_output(path: Path, data: bytes) -> None:
    """Write one encoded image, whole; a full disk or a forbidden folder is this photo's failure, not the run's."""
    try:
        with lap("write"):
            write_whole(path, data)
    except OSError as error:
        raise PhotoFailed("unwritable", f"{path}: {error.strerror}") from error
