"""The last part of a photo's way through `batch`: its face, or the photo with its faces, into OUT.

No torch here: worker processes that paste faces into photos import this module.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.batch.config import FrontalizeConfig
from pipelines.photo_jobs.crops import resize_square
from pipelines.photo_jobs.job import PhotoResult
from pipelines.photo_jobs.pastes import paste_refined
from pipelines.runtime.image_writer import encode_output, write_output
from pipelines.runtime.stage_timer import record_stages, stage
from toolkit.errors import PhotoError
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """A photo with what the network made of it."""

    result: PhotoResult[Any]
    faces: list[Image]  # (S, S, 3) RGB, one for each input


FaceOrOutcome = PhotoFaces | Outcome  # the outcome of a photo that the network never saw passes through


def in_threads(
    write: Callable[[FaceOrOutcome], Outcome], photos: Iterable[FaceOrOutcome], count: int
) -> Iterator[Outcome]:
    """Write photos on threads, so many at once, in order."""
    with ThreadPoolExecutor(count) as threads:
        pending: deque[Future[Outcome]] = deque()
        for photo in photos:
            pending.append(threads.submit(write, photo))
            while len(pending) > 2 * count or (pending and pending[0].done()):
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def write_faces(source: Path, out: Path, config: FrontalizeConfig, settings: str, photo: FaceOrOutcome) -> Outcome:
    """Write the face of a photo, or the photo with its refined faces; errors are in the outcome."""
    if isinstance(photo, Outcome):
        return photo
    result = photo.result
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


def load_nothing() -> None:
    """For worker processes without models."""


def write_in_worker(write: Callable[[FaceOrOutcome], Outcome], model: None, photo: FaceOrOutcome) -> Outcome:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`."""
    return write(photo)
