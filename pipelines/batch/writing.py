"""The last part of a photo's way through `batch`: its face, or the photo with its faces, into OUT.

No torch here: worker processes that paste faces into photos import this module.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
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


def load_nothing() -> None:
    """For worker processes without models."""


def write_in_worker(write: Callable[[PhotoFaces], Outcome], model: None, photo: PhotoFaces) -> Outcome:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`."""
    return write(photo)
