"""In a worker process: photo file -> square crops, with what the ledger wants to know about the input.

No torch here: a worker would load it for nothing, some seconds and 300 MB each.
"""

import gc
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.plan import Job
from pipelines.workers import Crash
from toolkit.align import AlignConfig, align_photo
from toolkit.cascade import FindConfig, open_landmarker
from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.geometry import Template
from toolkit.images import write_whole
from toolkit.ledger import Outcome, refused
from toolkit.photos import Photo, read_bytes

Faces = list[dict[str, Any]]
# What MediaPipe and OpenCV raise on photos of absurd shapes, and any of them when memory runs out.
CUT_ERRORS = (RuntimeError, ValueError, MemoryError, cv2.error)

Cutter = Callable[[Photo], tuple[list[NDArray[np.uint8]], Faces]]


@dataclass(slots=True)
class CutPhoto:
    """What one photo gave: crops and their faces, or the error that says why not."""

    job: Job
    crops: list[NDArray[np.uint8]] = field(default_factory=list)  # (S, S, 3) RGB each
    faces: Faces = field(default_factory=list)
    error: PhotoError | None = None
    exif: bytes | None = None  # for the crops, where the run wants it
    file: dict[str, Any] = field(default_factory=dict)  # sha256, size, mtime_ns of the input, as the ledger has them
    started: float = field(default_factory=time.time)

    def outcome(self, outputs: list[str], settings: str) -> Outcome:
        """The ledger row, now that the outputs are in place."""
        return Outcome(
            input=self.job.input, status="written", outputs=outputs, faces=self.faces, **self._closing(settings)
        )

    def refusal(self, error: PhotoError, settings: str) -> Outcome:
        """The ledger row, where an error ended it."""
        return refused(self.job.input, error, **self._closing(settings))

    def _closing(self, settings: str) -> dict[str, Any]:
        return {"seconds": round(time.time() - self.started, 4), "settings": settings, **self.file}


def cut_photo(source: Path, job: Job, cutter: Cutter, keep_exif: bool = False) -> CutPhoto:
    """Read one photo once, and cut it; any :class:`PhotoError` ends up in the result."""
    photo = CutPhoto(job)
    path = source / job.input
    try:
        data = read_bytes(path)
        stat = path.stat()
        photo.file = {
            "sha256": hashlib.sha256(data).hexdigest(),
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
        }
        decoder = Photo(data)
        photo.crops, photo.faces = cutter(decoder)
        photo.exif = decoder.exif() if keep_exif else None
    except PhotoError as error:
        photo.error = error
    except CUT_ERRORS as error:
        photo.error = PhotoFailed("unprocessable", f"{type(error).__name__}: {error}".splitlines()[0][:200])
    return photo


def open_cut(source: Path, open_cutter: Callable[[], Cutter]) -> Callable[[Job], CutPhoto]:
    """For :func:`pipelines.workers.run_in_workers`: a job is one photo of ``source``, its result the cut photo."""
    return partial(cut_photo, source, cutter=open_cutter())


def open_face_cutter(config: AlignConfig, find: FindConfig) -> Cutter:
    """A cutter that finds the faces; loads the landmark models."""
    cv2.setNumThreads(1)  # the worker processes fill the cores; threads inside each would only fight over them
    _skip_matplotlib()
    landmarker = open_landmarker(find)
    gc.freeze()  # MediaPipe brings many objects that live as long as the process: collections need not look at them

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        crops = align_photo(photo, landmarker, config)
        return [crop.image for crop in crops], [crop.ledger_row() for crop in crops]

    return cutter


def _skip_matplotlib() -> None:
    """MediaPipe loads matplotlib for drawings that no worker makes: half of a worker's start, and 60 MB."""
    if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
        for name in ("matplotlib", "matplotlib.pyplot"):
            sys.modules[name] = ModuleType(name)


def open_crop_cutter(size: int, template: Template) -> Cutter:
    """A cutter that gives the largest face as a model wants it."""
    return open_face_cutter(AlignConfig(size=size, template=template), FindConfig())


def open_whole_cutter(size: int, template: Template) -> Cutter:
    """A cutter for photos that are crops of that template already: the whole image, brought to the size."""

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        width, height = photo.size
        if height != width:
            raise PhotoRejected("not-square", f"{width} x {height} px is no {template} crop; leave out --aligned")
        return [resize_square(photo.pixels(size / width)[0], size)], []

    return cutter


def resize_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image of another size: averaged when it shrinks, cubic when it grows."""
    if image.shape[0] == size:
        return image
    interpolation = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=interpolation), np.uint8)


def write_output(path: Path, data: bytes) -> None:
    """Write one encoded image, whole; a full disk or a forbidden folder is this photo's failure, not the run's."""
    try:
        write_whole(path, data)
    except OSError as error:
        raise PhotoFailed("unwritable", f"{path}: {error.strerror}") from error


def crash_outcome(crash: Crash[Job]) -> Outcome:
    """The ledger row of a photo during which the worker process died."""
    return refused(
        crash.job.input, PhotoFailed("crashed", "the process that read this file died; the file may be damaged")
    )
