"""In a worker process: photo file -> square crops, with what the ledger wants to know about the input.

No torch here: a worker would load it for nothing, some seconds and 300 MB each.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.timed import TimedPhoto
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.image_writer import OutputForm, write_image
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.ray_backend import Stage, on_ray
from pipelines.runtime.run import Work, run_bulk
from pipelines.runtime.stage_timer import Laps, lap, timed
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import PhotoError, PhotoFailed
from toolkit.photos.decode import Photo, read_bytes
from toolkit.records.ledger import Outcome, refused
from toolkit.views.frontal import Layout
from toolkit.views.paste import Patch

ResultT = TypeVar("ResultT")
PartT = TypeVar("PartT")
PER_BLOCK = 8  # photos that travel together on Ray
WORKERS = "workers"  # the place where photos are cut
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
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`: a job is one photo of ``source``."""
    return partial(cut_photo, source, cutter=open_cutter())


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
    """For :class:`pipelines.runtime.ray_backend.Stage`: work on single jobs as work on blocks of them."""
    return partial(map, open_work())


def spread(open_work: Callable[[], Callable[[Job], Outcome]], bulk: BulkConfig, stop: Stop) -> Work:
    """For :func:`pipelines.runtime.run.run_bulk`: a worker that dies or hangs is its job's outcome."""

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
