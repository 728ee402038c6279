"""The second part of a photo's way through `batch`: through the network, in batches."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import Any

from pipelines.batch.writing import FaceOrOutcome, PhotoFaces
from pipelines.photo_jobs.gpu_inputs import GpuViewOutput
from pipelines.photo_jobs.job import PhotoResult, crash_outcome
from pipelines.photo_jobs.pastes import PasteOutput
from pipelines.photo_jobs.views import ViewOutput
from pipelines.runtime.plan import Job
from pipelines.runtime.stage_timer import record_stages, stage
from pipelines.runtime.worker_pool import Crash
from pipelines.weights.generator import Generator, NetworkInput


def faces_in_batches(
    generators: Sequence[Generator],
    batch_size: int,
    settings: str,
    photos: Iterable[PhotoResult[Any] | Crash[Job]],
) -> Iterator[FaceOrOutcome]:
    """Run prepared photos through the network.

    Each generator has a batch, while the next one is gathered. Photos that failed come through at once.

    Args:
        generators: the same network on each device.
        batch_size: network inputs per batch.
        settings: digest for the outcomes of failed photos.
        photos: in any order.
    """
    waiting: list[PhotoResult[Any]] = []
    inputs = 0  # of the network, in the photos that wait
    running: deque[Future[list[PhotoFaces]]] = deque()
    free: SimpleQueue[Generator] = SimpleQueue()
    for generator in generators:
        free.put(generator)
    with ThreadPoolExecutor(len(generators)) as threads:
        for photo in photos:
            if isinstance(photo, Crash):
                yield crash_outcome(photo)
            elif photo.error is not None:
                yield photo.not_written(photo.error, settings)
            else:
                waiting.append(photo)
                inputs += len(network_inputs(photo))
            if inputs >= batch_size:
                running.append(threads.submit(_run_batch, free, waiting))
                waiting, inputs = [], 0
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
    if isinstance(output, ViewOutput):
        return [output.network_inputs]
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
