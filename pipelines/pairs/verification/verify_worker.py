"""In a worker process: one file of a paired set -> what `pairs verify` checks."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import PROCESSING_ERRORS, unprocessable
from pipelines.photo_jobs.landmarkers import with_border, worker_landmarker
from toolkit.errors import PhotoError
from toolkit.geometry.crop import chin_crop_points, crop_matrix
from toolkit.geometry.head_pose import head_pose
from toolkit.identity.recognizer import CROP_SIDE, Recognizer
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.duplicates import signature
from toolkit.photos.resample import warp_crop


@dataclass(frozen=True, slots=True)
class FileInfo:
    """The content of one file of a set."""

    file: str  # relative to the set
    error: str = ""  # why it cannot be read; the fields below are then empty
    sha256: str = ""
    size: tuple[int, int] = (0, 0)  # width, height, pixels
    signature: bytes = b""  # see toolkit.photos.duplicates
    face: bool = False  # whether one was searched and found; the fields below are of it
    yaw: float = 0.0  # degrees
    eyes: tuple[float, float] = (0.0, 0.0)  # inner-eye midpoint, shares of width and height
    chin: tuple[float, float] = (0.0, 0.0)
    identity: NDArray[np.float64] | None = field(default=None, repr=False)  # embedding by a recognizer, length 1


class FileInspector:
    """In a worker process: read the files of a set. Loads the models.

    Args:
        root: of the set.
        faces: search the face in each file.
        recognizer: embed the face with this one; None: do not.
    """

    def __init__(self, root: Path, faces: bool, recognizer: Path | None) -> None:
        self._root = root
        self._landmarker = worker_landmarker(FindConfig(retries=False)) if faces else None
        self._recognizer = None if recognizer is None else Recognizer(recognizer)

    def inspect(self, file: str) -> FileInfo:
        """Read one file; errors are in the result."""
        try:
            data = read_bytes(self._root / file)
            pixels, _ = Photo(data).pixels()
            height, width = pixels.shape[:2]
            face = {} if self._landmarker is None else _face(pixels, self._landmarker, self._recognizer)
            digest = hashlib.sha256(data).hexdigest()
            return FileInfo(file, "", digest, (width, height), signature(pixels), **face)  # type: ignore[arg-type]
        except PhotoError as error:
            return FileInfo(file, error.reason)
        except PROCESSING_ERRORS as error:
            return FileInfo(file, unprocessable(error).reason)


def _face(pixels: NDArray[np.uint8], landmarker: Landmarker, recognizer: Recognizer | None) -> dict[str, object]:
    height, width = pixels.shape[:2]
    room, border = with_border(pixels)
    found = landmarker.find(room)
    if not found:
        return {}
    landmarks = max(found, key=lambda face: face.size).landmarks
    eyes, chin = (
        (float((point[0] - border) / width), float((point[1] - border) / height))
        for point in chin_crop_points(landmarks)
    )
    known: dict[str, object] = {"face": True, "yaw": head_pose(landmarks).yaw, "eyes": eyes, "chin": chin}
    if recognizer is not None:
        known["identity"] = recognizer.embed(
            [warp_crop(room, crop_matrix(landmarks, CROP_SIDE, "arcface"), CROP_SIDE)]
        )[0]
    return known
