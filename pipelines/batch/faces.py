"""The second half of a photo's way through `batch`: through the network, and into OUT."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from pipelines.batch.config import FrontalizeConfig
from pipelines.photo_jobs.crops import resize_square
from pipelines.photo_jobs.gpu_inputs import GpuViewOutput
from pipelines.photo_jobs.job import PhotoResult, crash_outcome
from pipelines.photo_jobs.pastes import PasteOutput, paste_refined
from pipelines.runtime.image_writer import encode_output, write_output
from pipelines.runtime.plan import Job
from pipelines.runtime.stage_timer import record_stages, stage
from pipelines.runtime.worker_pool import Crash
from pipelines.weights.generator import Generator, NetworkInput
from toolkit.errors import PhotoError
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome


@dataclass(slots=True)
class PhotoFaces:
    """A photo with what the network made of it, or the outcome of one that the network never saw."""

    result: PhotoResult[Any] | None = None
    faces: list[Image] = field(default_factory=list)  # (S, S, 3) RGB, one for each input
    outcome: Outcome | None = None

    def failed(self, error: PhotoError, settings: str) -> Outcome:
        """The outcome if writing it ends in an error."""
        if self.result is None:
            raise ValueError("only a photo with a result can fail")
        return self.result.not_written(error, settings)


def faces_in_batches(
    generators: Sequence[Generator],
    batch_size: int,
    settings: str,
    photos: Iterable[PhotoResult[Any] | Crash[Job]],
) -> Iterator[PhotoFaces]:
    """Run prepared photos through the network.

    Each generator has a batch, while the next one is gathered. Photos that failed come through at once.

    Args:
        generators: the same network on each device.
        batch_size: network inputs per batch.
        settings: digest for the outcomes of failed photos.
        photos: in any order.
    """
    waiting: list[PhotoResult[Any]] = []
    running: deque[Future[list[PhotoFaces]]] = deque()
    free: SimpleQueue[Generator] = SimpleQueue()
    for generator in generators:
        free.put(generator)
    with ThreadPoolExecutor(len(generators)) as threads:
        for photo in photos:
            if isinstance(photo, Crash):
                yield PhotoFaces(outcome=crash_outcome(photo))
            elif photo.error is not None:
                yield PhotoFaces(outcome=photo.not_written(photo.error, settings))
            else:
                waiting.append(photo)
            if sum(len(network_inputs(photo)) for photo in waiting) >= batch_size:
                running.append(threads.submit(_run_batch, free, waiting))
                waiting = []
            if len(running) > len(generators):
                yield from running.popleft().result()
        if waiting:
            running.append(threads.submit(_run_batch, free, waiting))
        while running:
            yield from running.popleft().result()


def network_inputs(photo: PhotoResult[Any]) -> list[NetworkInput]:
    """What the network sees of a photo: the square of each view, or the one view or crop."""
    output = photo.required_output()
    if isinstance(output, PasteOutput):
        return [view.network_inputs for view in output.views]
    if isinstance(output, GpuViewOutput) and output.view_inputs is not None:
        return [output.view_inputs]
    return [output.images]


def _run_batch(free: "SimpleQueue[Generator]", photos: Sequence[PhotoResult[Any]]) -> list[PhotoFaces]:
    """One batch on whichever generator is free."""
    generator = free.get()
    try:
        with record_stages(photos[0].seconds, "network"), stage("network"):  # one photo stands for its batch
            faces = iter(generator([image for photo in photos for image in network_inputs(photo)]))
        return [PhotoFaces(photo, list(islice(faces, len(network_inputs(photo))))) for photo in photos]
    finally:
        free.put(generator)


def in_threads(write: Callable[[PhotoFaces], Outcome], photos: Iterable[PhotoFaces], count: int) -> Iterator[Outcome]:
    """Write photos on threads, so many at once, in order."""
    with ThreadPoolExecutor(count) as threads:
        pending: deque[Future[Outcome]] = deque()
        for photo in photos:
            pending.append(threads.submit(write, photo))
            while len(pending) > 2 * count or (pending and pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def write_faces(source: Path, out: Path, config: FrontalizeConfig, settings: str, photo: PhotoFaces) -> Outcome:
    """Write the face of a photo, or the photo with its refined faces; errors are in the outcome."""
    result = photo.result
    if result is None:
        if photo.outcome is None:
            raise ValueError("neither a result nor an outcome")
        return photo.outcome
    try:
        [path] = result.job.outputs(1, f".{config.format}")
        with record_stages(result.seconds, "writers"):
            if config.paste_back:
                with stage("paste"):
                    image = paste_refined(source, result, photo.faces)
            else:
                [face] = photo.faces
                image = resize_square(face, config.size or len(face))
            write_output(out / path, encode_output(image, config))
    except PhotoError as error:
        return result.not_written(error, settings)
    return result.written([path], settings)
