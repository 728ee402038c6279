"""What a worker process does to one photo: read it once, apply a photo function, write the images, fill in its row.

A photo function is the only part that differs between commands: :mod:`pipelines.photo_jobs.crops` cuts faces,
:mod:`pipelines.photo_jobs.views` turns them to the front. No torch here: it would cost each worker some seconds and
300 MB.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2

from pipelines.photo_jobs.device_networks import networks_on
from pipelines.photo_jobs.timed import TimedPhoto
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.image_writer import OutputFormat, encode_output, write_output
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.ray_backend import RayStage, run_on_ray
from pipelines.runtime.run import Work, run_bulk
from pipelines.runtime.stage_timer import StageSeconds, record_stages, stage
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import ConfigError, PhotoError, PhotoFailed
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome, error_outcome

WORKERS = "workers"  # the place of the stages in this file
PER_BLOCK = 8  # photos in a block on Ray
# Raised by ONNX Runtime, MediaPipe and OpenCV on photos of absurd shapes, and by any library when memory runs out.
PROCESSING_ERRORS = (RuntimeError, ValueError, MemoryError, cv2.error)


@dataclass(slots=True)
class PhotoOutput:
    """What a photo function makes of one photo."""

    images: list[Image]  # (S, S, 3) RGB each
    faces: list[dict[str, Any]]  # rows of the ledger: one per image, or one per face in it
    exif: bytes | None = None  # for the images, where the run copies it


OutputT = TypeVar("OutputT", bound=PhotoOutput)
PhotoFunction = Callable[[Photo, Job], OutputT]  # raises PhotoError where a photo gives nothing
EncodeFunction = Callable[[Job, OutputT], list[tuple[str, bytes]]]  # paths relative to OUT, and the files' contents


@dataclass(slots=True)
class PhotoResult(Generic[OutputT]):
    """The output of a photo function for one photo, or the error that it raised."""

    job: Job
    output: OutputT | None = None
    error: PhotoError | None = None
    file: dict[str, Any] = field(default_factory=dict)  # sha256, size and mtime_ns of the input, as in the ledger
    seconds: StageSeconds = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)  # the same clock in all processes, never set back

    def required_output(self) -> OutputT:
        """The output.

        Raises:
            PhotoError: there is none; this says why.
        """
        if self.error is not None:
            raise self.error
        if self.output is None:
            raise ValueError(f"{self.job.input}: neither output nor error")
        return self.output

    def written(self, outputs: list[str], settings: str) -> Outcome:
        """The row of the ledger once the outputs are in place."""
        faces = [] if self.output is None else self.output.faces
        return Outcome(
            input=self.job.input, status="written", outputs=outputs, faces=faces, **self._common_fields(settings)
        )

    def not_written(self, error: PhotoError, settings: str) -> Outcome:
        """The row of the ledger after an error: ``rejected`` or ``failed``."""
        return error_outcome(self.job.input, error, **self._common_fields(settings))

    def _common_fields(self, settings: str) -> dict[str, Any]:
        seconds = round(time.monotonic() - self.started, 4)
        return {"seconds": seconds, "settings": settings, "stage_seconds": self.seconds, **self.file}


def run_photo_jobs(
    plan: Plan,
    load: Callable[[], PhotoFunction[OutputT]],
    encode: EncodeFunction[OutputT],
    settings: str,
    bulk: BulkConfig,
    stop: Stop,
) -> Iterator[Outcome]:
    """Process and write every photo of a plan in worker processes; yield one outcome per photo, already in the ledger.

    Args:
        plan: the photos.
        load: returns the photo function; called once in each worker.
        encode: what to write, from a job and the function's output.
        settings: digest of what shapes the outputs.
        bulk: how to run.
        stop: see :data:`pipelines.runtime.interrupt.Stop`.

    Raises:
        ConfigError: OUT, a model or the device cannot be used.
    """
    work = partial(process_and_write, plan.source, plan.out, encode, settings)
    if bulk.engine == "ray" and bulk.device not in ("auto", "cpu"):
        raise ConfigError(f"device={bulk.device!r} with engine ray: its processes run on the CPU; leave one out")
    local = spread(load, work, bulk, stop)
    if bulk.engine == "ray":
        stages = [RayStage(load, partial(map_block, work))]
        return run_bulk(plan, run_on_ray(stages, PER_BLOCK, bulk.workers, stop, local), settings, bulk.overwrite)
    return run_bulk(plan, local, settings, bulk.overwrite)


def spread(load: Callable[[], Any], work: Callable[[Any, Job], Outcome], bulk: BulkConfig, stop: Stop) -> Work:
    """Make the work of :func:`pipelines.runtime.run.run_bulk` from what a worker process does to one photo.

    Raises:
        ConfigError: the device is not there.
    """
    networks = networks_on(bulk.device, load)

    def run(jobs: Sequence[Job]) -> Iterator[Outcome]:
        if not jobs:
            return
        with networks as load_there:
            for result in run_in_workers(load_there, work, jobs, bulk.workers, stop, limits=bulk.limits):
                yield crash_outcome(result) if isinstance(result, Crash) else result

    return run


def map_block(work: Callable[[Any, Job], Any], model: Any, jobs: Sequence[Job]) -> Iterator[Any]:
    """Apply work on single jobs to a block of them, for :class:`pipelines.runtime.ray_backend.RayStage`."""
    return (work(model, job) for job in jobs)


def process_and_write(
    source: Path,
    out: Path,
    encode: EncodeFunction[OutputT],
    settings: str,
    function: PhotoFunction[OutputT],
    job: Job,
) -> Outcome:
    """Process one photo and write its outputs; errors are in the outcome."""
    return write_result(out, process_photo(source, function, job), encode, settings)


def process_photo(source: Path, function: PhotoFunction[OutputT], job: Job) -> PhotoResult[OutputT]:
    """Read one photo once and apply a photo function; any :class:`PhotoError` is in the result."""
    result: PhotoResult[OutputT] = PhotoResult(job)
    path = source / job.input
    with record_stages(result.seconds, WORKERS):
        try:
            with stage("read"):
                data = read_bytes(path)
                stat, sha256 = path.stat(), hashlib.sha256(data).hexdigest()
            result.file = {"sha256": sha256, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
            with stage("draw"):
                result.output = function(TimedPhoto(data), job)
        except PhotoError as error:
            # Without its frames, which would keep the photo's pixels in memory.
            result.error = error.with_traceback(None)
            result.error.__cause__ = result.error.__context__ = None
        except PROCESSING_ERRORS as error:
            result.error = unprocessable(error)
    return result


def write_result(out: Path, result: PhotoResult[OutputT], encode: EncodeFunction[OutputT], settings: str) -> Outcome:
    """Write the outputs of one photo; whatever goes wrong with it is in the outcome."""
    try:
        with record_stages(result.seconds, WORKERS):
            files = encode(result.job, result.required_output())
            for path, data in files:
                write_output(out / path, data)
        return result.written([path for path, _ in files], settings)
    except PhotoError as error:
        return result.not_written(error, settings)


def encode_images(output_format: OutputFormat, job: Job, output: PhotoOutput) -> list[tuple[str, bytes]]:
    """Encode the images of a photo under the names that the plan gives them.

    Raises:
        PhotoFailed: ``collision``, a name belongs to another input.
    """
    names = job.outputs(len(output.images), f".{output_format.format}")
    images = zip(names, output.images, strict=True)
    return [(name, encode_output(image, output_format, output.exif)) for name, image in images]


def unprocessable(error: Exception) -> PhotoFailed:
    """The :class:`PhotoFailed` for one of :data:`PROCESSING_ERRORS`."""
    if isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem):
        return PhotoFailed("out-of-memory", "it takes more memory than one photo may have; scale it down first")
    return PhotoFailed("unprocessable", f"{type(error).__name__}: {error}".splitlines()[0][:200])


def crash_outcome(crash: Crash[Job]) -> Outcome:
    """The row of the ledger for a photo that ended its worker process."""
    return error_outcome(crash.job.input, crash.error)
