"""The landmarker that the commands use: one look at the photo, and another where the first finds nothing."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.landmarks import Face, Landmarker
from toolkit.mediapipe_faces import FaceMesh, TaskLandmarker

SECOND_CONFIDENCE = 0.2  # finds 357 of 396 true profiles (shared/data/README.md); at 0.5 the first look finds fewer


class Cascade:
    """Look once as it is; where nothing is found, look again with a border and less demanding.

    Tight crops are what the first pass misses: the detector was trained on faces with room
    around them.

    Args:
        first: looks at the photo as it is.
        open_second: gives the landmarker for the second look; most collections never need it.
    """

    def __init__(self, first: Landmarker, open_second: Callable[[], Landmarker]) -> None:
        self._first, self._open_second = first, open_second

    @cached_property
    def _second(self) -> Landmarker:
        return self._open_second()

    def find(self, photo: NDArray[np.uint8]) -> list[Face]:
        """See :class:`toolkit.landmarks.Landmarker`."""
        return self._first.find(photo) or self._find_padded(photo)

    def _find_padded(self, photo: NDArray[np.uint8]) -> list[Face]:
        down, across = photo.shape[0] // 2, photo.shape[1] // 2
        padded = cv2.copyMakeBorder(photo, down, down, across, across, cv2.BORDER_REPLICATE)
        found = self._second.find(np.asarray(padded, np.uint8))
        return [replace(face, landmarks=face.landmarks - [across, down, 0], found_by="padded") for face in found]


def open_landmarker(bundle: Path | None = None) -> Landmarker:
    """Load the models of MediaPipe's wheel, or a ``face_landmarker.task`` bundle given by path.

    Raises:
        ConfigError: the bundle is missing or is none.
    """
    kind = FaceMesh if bundle is None else partial(TaskLandmarker, bundle)
    return Cascade(kind(), partial(kind, min_confidence=SECOND_CONFIDENCE))
