"""In a worker process: one file of a paired set -> what `pairs verify` wants to know of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import CUT_ERRORS, unprocessable
from pipelines.photo_jobs.landmarkers import open_quiet_landmarker, with_border
from toolkit.errors import PhotoError
from toolkit.faces.face import Landmarker
from toolkit.geometry.crop import anchors, crop_matrix
from toolkit.geometry.head_pose import head_pose
from toolkit.identity.recognizer import SIDE, Recognizer
from toolkit.landmarks.finder import FindConfig
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.duplicates import signature
from toolkit.photos.resample import cut


@dataclass(frozen=True, slots=True)
class Look:
    """What one file is."""

    file: str  # relative to the set
    error: str = ""  # why it cannot be read; nothing below is then known
    sha256: str = ""
    size: tuple[int, int] = (0, 0)  # width, height, pixels
    signature: bytes = b""  # see toolkit.photos.duplicates
    face: bool = False  # one was looked for and found; what follows is then known
    yaw: float = 0.0  # degrees
    eyes: tuple[float, float] = (0.0, 0.0)  # inner-eye midpoint, shares of width and height
    chin: tuple[float, float] = (0.0, 0.0)
    identity: NDArray[np.float64] | None = field(default=None, repr=False)  # by a recogniser, length 1


def open_look(root: Path, faces: bool, recognizer: Path | None) -> Callable[[str], Look]:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`: a job is one file of the set.

    Args:
        root: of the set.
        faces: look for the face in it.
        recognizer: describe the face with this one; None: do not.
    """
    landmarker = open_quiet_landmarker(FindConfig(retries=False)) if faces else None
    return partial(_look, root, landmarker, None if recognizer is None else Recognizer(recognizer))


def _look(root: Path, landmarker: Landmarker | None, recognizer: Recognizer | None, file: str) -> Look:
    try:
        data = read_bytes(root / file)
        pixels, _ = Photo(data).pixels()
        height, width = pixels.shape[:2]
        face = {} if landmarker is None else _face(pixels, landmarker, recognizer)
        digest = hashlib.sha256(data).hexdigest()
        return Look(file, "", digest, (width, height), signature(pixels), **face)  # type: ignore[arg-type]
    except PhotoError as error:
        return Look(file, error.reason)
    except CUT_ERRORS as error:
        return Look(file, unprocessable(error).reason)


def _face(pixels: NDArray[np.uint8], landmarker: Landmarker, recognizer: Recognizer | None) -> dict[str, object]:
    height, width = pixels.shape[:2]
    room, border = with_border(pixels)
    found = landmarker.find(room)
    if not found:
        return {}
    landmarks = max(found, key=lambda face: face.size).landmarks
    eyes, chin = (
        (float((point[0] - border) / width), float((point[1] - border) / height)) for point in anchors(landmarks)
    )
    known: dict[str, object] = {"face": True, "yaw": head_pose(landmarks).yaw, "eyes": eyes, "chin": chin}
    if recognizer is not None:
        known["identity"] = recognizer.embed([cut(room, crop_matrix(landmarks, SIDE, "arcface"), SIDE)])[0]
    return known
