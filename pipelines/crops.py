"""In a worker process: photo file -> square crops, with what the ledger wants to know about the input.

No torch here: a worker would load it for nothing, some seconds and 300 MB each.
"""

import gc
import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.bulk import Work, run_bulk
from pipelines.configs import BulkConfig
from pipelines.laps import Laps, TimedLandmarker, TimedPhoto, lap, timed
from pipelines.outputs import OutputForm, write_image
from pipelines.plan import Job, Plan
from pipelines.ray_engine import Stage, on_ray
from pipelines.workers import Crash, Stop, run_in_workers
from toolkit.align import AlignConfig, AlignedCrop, align_photo, magnification
from toolkit.cascade import FindConfig, open_landmarker
from toolkit.errors import PhotoError, PhotoFailed, PhotoRejected
from toolkit.frontal import Layout
from toolkit.geometry import Template
from toolkit.landmarks import Face, Landmarker, resized
from toolkit.ledger import Outcome, refused
from toolkit.paste import Patch
from toolkit.photos import Photo, read_bytes
from toolkit.steady import SteadyMesh
from toolkit.views import frontal_view

ResultT = TypeVar("ResultT")
PartT = TypeVar("PartT")
CROP_VERSION = 2  # raised when the same photo would give another crop: what was made of it is then made again
VIEW_VERSION = 6  # raised when the same photo would give another frontal view: finished ones are then done again
PER_BLOCK = 8  # photos that travel together on Ray
WORKERS = "workers"  # the place where photos are cut
BORDER = 0.3  # of the side: see with_border
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
    patches: list[Patch] = field(default_factory=list)  # where faces go back into the photo, for a network to finish
    layout: Layout | None = None  # of the view that a GPU shall draw
    exif: bytes | None = None  # for the crops, where the run wants it
    file: dict[str, Any] = field(default_factory=dict)  # sha256, size, mtime_ns of the input, as the ledger has them
    laps: Laps = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)  # one clock for all processes, which nobody sets

    def outcome(self, outputs: list[str], settings: str) -> Outcome:
        """The ledger row, now that the outputs are in place."""
        return Outcome(
            input=self.job.input, status="written", outputs=outputs, faces=self.faces, **self._closing(settings)
        )

    def refusal(self, error: PhotoError, settings: str) -> Outcome:
        """The ledger row, where an error ended it."""
        return refused(self.job.input, error, **self._closing(settings))

    def _closing(self, settings: str) -> dict[str, Any]:
        seconds = round(time.monotonic() - self.started, 4)
        return {"seconds": seconds, "settings": settings, "laps": self.laps, **self.file}


def cut_photo(source: Path, job: Job, cutter: Cutter, keep_exif: bool = False) -> CutPhoto:
    """Read one photo once, and cut it; any :class:`PhotoError` ends up in the result."""
    photo = CutPhoto(job)
    path = source / job.input
    with timed(photo.laps, WORKERS):
        try:
            with lap("read"):
                data = read_bytes(path)
                stat, sha256 = path.stat(), hashlib.sha256(data).hexdigest()
            photo.file = {"sha256": sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
            decoder = TimedPhoto(data)
            with lap("draw"):
                photo.crops, photo.faces = cutter(decoder)
            photo.exif = decoder.exif() if keep_exif else None
        except PhotoError as error:
            # without its frames, which hold the photo's pixels, and this result, until the garbage is collected
            photo.error = error.with_traceback(None)
            photo.error.__cause__ = photo.error.__context__ = None
        except CUT_ERRORS as error:
            photo.error = unprocessable(error)
    return photo


def cut_parts(
    source: Path, job: Job, find: Callable[[Photo], tuple[list[PartT], Faces]]
) -> tuple[CutPhoto, list[PartT]]:
    """Cut one photo as :func:`cut_photo` does into parts that are no crops yet, and give them beside it."""
    parts: list[PartT] = []

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        found, rows = find(photo)
        parts.extend(found)
        return [], rows

    return cut_photo(source, job, cutter), parts


def unprocessable(error: Exception) -> PhotoFailed:
    """One of :data:`CUT_ERRORS`, named."""
    if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
        return PhotoFailed("out-of-memory", "it takes more memory than one photo may have; scale it down first")
    return PhotoFailed("unprocessable", f"{type(error).__name__}: {error}".splitlines()[0][:200])


def open_cut(source: Path, open_cutter: Callable[[], Cutter]) -> Callable[[Job], CutPhoto]:
    """For :func:`pipelines.workers.run_in_workers`: a job is one photo of ``source``, its result the cut photo."""
    return partial(cut_photo, source, cutter=open_cutter())


def open_face_cutter(config: AlignConfig, find: FindConfig) -> Cutter:
    """A cutter that finds the faces; loads the landmark models."""
    landmarker = open_quiet_landmarker(find)

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        crops = align_photo(photo, landmarker, config)
        return [crop.image for crop in crops], [crop.ledger_row() for crop in crops]

    return cutter


def open_quiet_landmarker(find: FindConfig) -> Landmarker:
    """A landmarker for a worker process: on one thread, and without what only people at a prompt need."""
    cv2.setNumThreads(1)  # the worker processes fill the cores; threads inside each would only fight over them
    _skip_matplotlib()
    landmarker = TimedLandmarker(open_landmarker(find))
    gc.freeze()  # MediaPipe brings many objects that live as long as the process: collections need not look at them
    return landmarker


def open_view_landmarker() -> tuple[Landmarker, SteadyMesh]:
    """What finds the face for a frontal view, and what steadies its mesh, once, in the view's own resolution."""
    return open_quiet_landmarker(FindConfig(steady=False)), SteadyMesh()


def _skip_matplotlib() -> None:
    """MediaPipe loads matplotlib for drawings that no worker makes: half of a worker's start, and 60 MB."""
    if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
        for name in ("matplotlib", "matplotlib.pyplot"):
            sys.modules[name] = ModuleType(name)


def with_border(crop: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A tight crop with the room around it that the detector wants; and the border's width, pixels."""
    border = round(BORDER * max(crop.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_REPLICATE), np.uint8), border


def open_crop_cutter(size: int, template: Template) -> Cutter:
    """A cutter that gives the largest face as a model wants it."""
    return open_face_cutter(AlignConfig(size=size, template=template), FindConfig())


def open_view_cutter(size: int, masked: bool = False) -> Cutter:
    """A cutter that turns the largest face to the front; `frontalize align`'s crop, seen frontally.

    Args:
        size: of the views, pixels.
        masked: each view is followed by how well the photo showed its pixels, (size, size) 0 to 255.
    """
    config, (landmarker, steady) = AlignConfig(size=size), open_view_landmarker()

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        [crop] = align_photo(photo, landmarker, config)
        view, mask = turned_to_front(photo, crop, steady, size)
        return [view, *([mask] if masked else [])], [crop.ledger_row()]

    return cutter


def turned_to_front(
    photo: Photo, crop: AlignedCrop, steady: SteadyMesh, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The frontal view of a face that :func:`toolkit.align.align_photo` found in a photo.

    Returns:
        (size, size, 3) RGB, and (size, size) how well the photo showed each pixel, 0 to 255.

    Raises:
        PhotoRejected: ``bad-mesh``, its points span no frame.
    """
    view, visible = frontal_view(*steady_face(photo, crop, steady), size)
    return view, as_mask(visible)


def steady_face(photo: Photo, crop: AlignedCrop, steady: SteadyMesh) -> tuple[NDArray[np.uint8], Face]:
    """The photo as large as its crop deserves, (H, W, 3) RGB; and the face in it, its mesh steadied."""
    pixels, scale = photo.pixels(magnification(crop.matrix))
    return pixels, steady(pixels, resized(crop.face, scale))


def as_mask(visible: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Visibility, 0 to 1, as it is stored: 0 to 255."""
    return np.asarray(np.round(255 * visible), np.uint8)


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


def cut_into(
    plan: Plan,
    open_cutter: Callable[[], Cutter],
    form: OutputForm,
    settings: str,
    bulk: BulkConfig,
    stop: Stop,
) -> Iterator[Outcome]:
    """Cut every photo of a plan in worker processes, which also write; one outcome per photo, in the ledger already.

    Raises:
        ConfigError: OUT or a model cannot be used.
    """
    open_work = partial(_open_cut_and_write, plan.source, plan.out, open_cutter, form, settings)
    work = spread(open_work, bulk, stop)
    if bulk.engine == "ray":
        work = on_ray([Stage(partial(open_each, open_work))], PER_BLOCK, bulk.workers, stop, work)
    return run_bulk(plan, work, settings, bulk.overwrite)


def open_each(open_work: Callable[[], Callable[[Job], ResultT]]) -> Callable[[Sequence[Job]], Iterator[ResultT]]:
    """For :class:`pipelines.ray_engine.Stage`: work on single jobs as work on blocks of them."""
    return partial(map, open_work())


def spread(open_work: Callable[[], Callable[[Job], Outcome]], bulk: BulkConfig, stop: Stop) -> Work:
    """For :func:`pipelines.bulk.run_bulk`: jobs in worker processes; one that dies or hangs is its job's outcome."""

    def work(jobs: Sequence[Job]) -> Iterator[Outcome]:
        for result in run_in_workers(open_work, jobs, bulk.workers, stop, limits=bulk.limits):
            yield crash_outcome(result) if isinstance(result, Crash) else result

    return work


def _open_cut_and_write(
    source: Path, out: Path, open_cutter: Callable[[], Cutter], form: OutputForm, settings: str
) -> Callable[[Job], Outcome]:
    cutter = open_cutter()

    def work(job: Job) -> Outcome:
        photo = cut_photo(source, job, cutter, form.keep_exif)
        try:
            if photo.error is not None:
                raise photo.error
            outputs = job.outputs(len(photo.crops), f".{form.format}")
            with timed(photo.laps, WORKERS):
                for output, crop in zip(outputs, photo.crops, strict=True):
                    write_image(out / output, crop, form, photo.exif)
            return photo.outcome(outputs, settings)
        except PhotoError as error:
            return photo.refusal(error, settings)

    return work


def crash_outcome(crash: Crash[Job]) -> Outcome:
    """The ledger row of a photo that ended its worker process."""
    return refused(crash.job.input, crash.error)
