"""In a worker process: one pair of a set -> its pictures, and what geometry makes of the input.

No torch here: a worker would load it for nothing, some seconds and 300 MB each.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import CUT_ERRORS, unprocessable
from pipelines.photo_jobs.landmarkers import open_view_landmarker
from pipelines.photo_jobs.views import turned_to_front
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.photos.decode import Photo, read_bytes
from toolkit.records.subjects import Pair

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class PairJob:
    """A pair to look at."""

    number: int  # in the set
    pair: Pair
    find_face: bool  # in the input


@dataclass(frozen=True, slots=True)
class Sight:
    """What a pair shows."""

    number: int
    input: Image  # (S, S, 3) RGB, as large as the file is
    target: Image  # likewise
    yaw: float = math.nan  # degrees, of the input as measured; NaN where no face was looked for or found
    view: Image | None = None  # (size, size, 3) RGB, the frontal view by geometry, where one was asked for
    mask: Image | None = None  # (size, size) how well the input showed each pixel of it, 0 to 255
    reason: str = ""  # why there is none


@dataclass(frozen=True, slots=True)
class Unseen:
    """A pair that cannot be judged."""

    number: int
    reason: str


# An input's yaw, its frontal view, and how well the input showed that.
Turn = Callable[[Photo], tuple[float, Image | None, Image | None]]


def open_sight(root: Path, faces: bool, view_size: int | None) -> Callable[[PairJob], Sight | Unseen]:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`: a job is one pair of the set.

    Args:
        root: of the set.
        faces: some job asks for a face: the landmark models are needed.
        view_size: side of the frontal views, px; None: none are made.
    """
    return partial(_see, root, _open_turn(view_size) if faces else None)


def _open_turn(size: int | None) -> Turn:
    """As `batch --model geometric` does it: the same look for the face, the same view."""
    config = AlignConfig() if size is None else AlignConfig(size=size)
    landmarker, steady = open_view_landmarker()

    def turn(photo: Photo) -> tuple[float, Image | None, Image | None]:
        [crop] = align_photo(photo, landmarker, config)
        return crop.pose.yaw, *((None, None) if size is None else turned_to_front(photo, crop, steady, size))

    return turn


def _see(root: Path, turn: Turn | None, job: PairJob) -> Sight | Unseen:
    try:
        (photo, shown), (_, target) = (_read(root, file) for file in (job.pair.input, job.pair.target))
    except PhotoError as error:
        return Unseen(job.number, error.reason)
    if turn is None or not job.find_face:
        return Sight(job.number, shown, target)
    try:
        return Sight(job.number, shown, target, *turn(photo))
    except PhotoError as error:
        return Sight(job.number, shown, target, reason=error.reason)
    except CUT_ERRORS as error:
        return Sight(job.number, shown, target, reason=unprocessable(error).reason)


def _read(root: Path, file: str) -> tuple[Photo, Image]:
    try:
        photo = Photo(read_bytes(root / file))
        pixels, _ = photo.pixels()
    except PhotoError as error:
        raise type(error)(error.code, f"{file}: {error.detail}") from error
    except CUT_ERRORS as error:
        raise PhotoFailed(unprocessable(error).code, f"{file}: {error}"[:200]) from error
    height, width = pixels.shape[:2]
    if height != width:
        raise PhotoRejected("not-square", f"{file}: {width} x {height} px is no crop; use `frontalize align`")
    return photo, pixels
