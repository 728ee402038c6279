"""In a worker process: one pair of a set -> its images, and the frontal view of the input.

No torch here: it would cost each worker some seconds and 300 MB.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from pipelines.photo_jobs.job import PROCESSING_ERRORS, unprocessable
from pipelines.photo_jobs.views import ViewLandmarker
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.types import Image
from toolkit.records.subjects import Pair
from toolkit.views.frontal import FrontalView


@dataclass(frozen=True, slots=True)
class PairJob:
    """A pair to read."""

    number: int  # in the set
    pair: Pair
    find_face: bool  # in the input
    source: str = ""  # the photo of which the input is a crop, to find the face there; empty: in the crop


@dataclass(frozen=True, slots=True)
class LoadedPair:
    """The images of a pair."""

    number: int
    input: Image  # (S, S, 3) RGB, S as in the file
    target: Image  # likewise
    yaw: float = math.nan  # measured on the input, degrees; NaN without a face, or if none was searched
    view: FrontalView | None = None  # of the input, by geometry, if a model needs it
    reason: str = ""  # why there is no view


@dataclass(frozen=True, slots=True)
class LoadedTarget:
    """A target, without a pair."""

    file: str
    image: Image  # (S, S, 3) RGB, S as in the file


@dataclass(frozen=True, slots=True)
class UnreadablePair:
    """A pair that cannot be read."""

    number: int
    reason: str


class PairReader:
    """In a worker process: read one pair of a set; find the face of its input and make its frontal view.

    Args:
        root: of the set.
        faces: load the landmark models, because some job needs a face.
        view_size: side of the frontal views in pixels; None: none are made.
        photos: folder of the jobs' ``source``.
    """

    def __init__(self, root: Path, faces: bool, view_size: int | None, photos: Path | None = None) -> None:
        self._root, self._view_size, self._photos = root, view_size, photos or root
        self._config = AlignConfig() if view_size is None else AlignConfig(size=view_size)
        self._landmarker = ViewLandmarker() if faces else None

    def read(self, job: PairJob) -> LoadedPair | UnreadablePair:
        """Read one pair; errors are in the result."""
        try:
            (photo, image), (_, target) = (_read(self._root, file) for file in (job.pair.input, job.pair.target))
        except PhotoError as error:
            return UnreadablePair(job.number, error.reason)
        if self._landmarker is None or not job.find_face:
            return LoadedPair(job.number, image, target)
        try:
            if job.source:
                photo = Photo(read_bytes(self._photos / job.source))
            return LoadedPair(job.number, image, target, *self._turn(photo, self._landmarker))
        except PhotoError as error:
            return LoadedPair(job.number, image, target, reason=error.reason)
        except PROCESSING_ERRORS as error:
            return LoadedPair(job.number, image, target, reason=unprocessable(error).reason)

    def read_target(self, file: str) -> LoadedTarget | None:
        """Read one target; None if it cannot be read."""
        try:
            return LoadedTarget(file, _read(self._root, file)[1])
        except PhotoError:
            return None

    def _turn(self, photo: Photo, landmarker: ViewLandmarker) -> tuple[float, FrontalView | None]:
        """Return yaw and frontal view of the input, as `batch --model geometric` makes it."""
        [crop] = align_photo(photo, landmarker.landmarker, self._config)
        if self._view_size is None:
            return crop.pose.yaw, None
        return crop.pose.yaw, landmarker.frontal_view(photo, crop, self._view_size)


def _read(root: Path, file: str) -> tuple[Photo, Image]:
    try:
        photo = Photo(read_bytes(root / file))
        pixels, _ = photo.pixels()
    except PhotoError as error:
        raise type(error)(error.code, f"{file}: {error.detail}") from error
    except PROCESSING_ERRORS as error:
        raise PhotoFailed(unprocessable(error).code, f"{file}: {error}"[:200]) from error
    height, width = pixels.shape[:2]
    if height != width:
        raise PhotoRejected("not-square", f"{file}: {width} x {height} px is no crop; use `frontalize align`")
    return photo, pixels
