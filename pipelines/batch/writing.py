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
from pipelines.photo_jobs.job import PhotoOutput, PhotoResult
from pipelines.photo_jobs.pastes import paste_refined
from pipelines.photo_jobs.views import ViewOutput
from pipelines.runtime.image_writer import encode_output, write_output
from pipelines.runtime.stage_timer import record_stages, stage
from pipelines.weights.generator import GeneratedFace
from toolkit.errors import PhotoError, PhotoRejected
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome


@dataclass(frozen=True, slots=True)
class PhotoFaces:
    """A photo with what the network made of it."""

    result: PhotoResult[Any]
    faces: list[GeneratedFace]  # one for each input


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
            used = _used_faces(photo, config.min_confidence)
            if config.paste_back:
                with stage("paste"):
                    faces = zip(photo.faces, used, strict=True)
                    image = paste_refined(source, result, [face.image if use else None for face, use in faces])
            else:
                [face] = photo.faces
                image = _whole_view(result.required_output(), face.image, config.size)
            write_output(out / path, encode_output(image, config))
    except PhotoError as error:
        return result.not_written(error, settings)
    return result.written([path], settings)


def _used_faces(photo: PhotoFaces, least: float) -> list[bool]:
    """Return which faces reach the confidence, and note it in their rows of the ledger.

    Raises:
        PhotoRejected: ``low-confidence``, none is used.
    """
    rows = [row for row in photo.result.required_output().faces if row.get("pasted", True)]
    known = [None if face.confidence is None else round(face.confidence, 3) for face in photo.faces]
    used = [confidence is None or confidence >= least for confidence in known]
    for row, confidence, use in zip(rows, known, used, strict=False):  # there are no rows of crops with --aligned
        if confidence is not None:
            row["confidence"] = confidence
        if "pasted" in row:
            row["pasted"] = use
    if not any(used):
        best = max(confidence for confidence in known if confidence is not None)
        of = "" if len(known) == 1 else f"the best of {len(known)} faces has "
        raise PhotoRejected("low-confidence", f"{of}{best:.3f}, below --min-confidence {least:g}")
    return used


def _whole_view(output: PhotoOutput, face: Image, size: int | None) -> Image:
    """Return what is written: the face, or the view with the face in its square."""
    if isinstance(output, ViewOutput) and output.border:
        return output.with_refined(resize_square(face, len(output.network_inputs[0])))
    return resize_square(face, size or len(face))


def load_nothing() -> None:
    """For worker processes without models."""


def write_in_worker(write: Callable[[FaceOrOutcome], Outcome], model: None, photo: FaceOrOutcome) -> Outcome:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`."""
    return write(photo)
