"""Recognizers and landmarkers for generated faces, one of each on every thread.

Generated faces come from the process that runs the generators. ONNX Runtime and OpenCV release Python's lock, so
threads of that process fill the cores, and no face has to be sent to another process.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import PROCESSING_ERRORS
from pipelines.photo_jobs.landmarkers import with_border
from toolkit.identity.recognizer import Recognizer, to_recognizer_crop
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image

Embedding = NDArray[np.float64]  # (D,), length 1
FacePoints = NDArray[np.float64]  # (468, 2), x and y in pixels at a side of POINTS_SIDE
POINTS_SIDE = 128  # pixels
MESH_POINTS = 468  # without those of the irises
ModelT = TypeVar("ModelT")
ResultT = TypeVar("ResultT")


class FaceNetworks:
    """Measure chin crops on several threads. A context: the threads end with it.

    Args:
        recognizer: an ONNX face recognizer; None: :meth:`embed` is not used.
        landmarks: load landmarkers, for :meth:`find_points`.
        threads: number of threads, each with networks of its own.

    Raises:
        ConfigError: the recognizer cannot be used.
    """

    def __init__(self, recognizer: Path | None, landmarks: bool, threads: int) -> None:
        self._recognizers = [Recognizer(recognizer) for _ in range(threads)] if recognizer is not None else []
        find = FindConfig(refine_profiles=False)
        self._landmarkers = [open_landmarker(find) for _ in range(threads)] if landmarks else []
        self._threads = ThreadPoolExecutor(threads)

    def __enter__(self) -> "FaceNetworks":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._threads.shutdown()

    def embed(self, faces: Sequence[Image]) -> list[Embedding]:
        """Return the embedding of each (S, S, 3) RGB face."""
        return self._map(self._recognizers, _embed, faces)

    def find_points(self, faces: Sequence[Image]) -> list[FacePoints | None]:
        """Return the mesh points of each (S, S, 3) RGB face; None where no face is found."""
        return self._map(self._landmarkers, _find_points, faces)

    def _map(
        self, models: Sequence[ModelT], measure: Callable[[ModelT, Image], ResultT], faces: Sequence[Image]
    ) -> list[ResultT]:
        """Measure each face; every thread takes the faces at its own places."""
        count = min(len(models), len(faces))

        def measure_share(first: int) -> list[ResultT]:
            return [measure(models[first], face) for face in faces[first::count]]

        results: dict[int, ResultT] = {}
        for first, some in enumerate(self._threads.map(measure_share, range(count))):
            results |= zip(range(first, len(faces), count), some, strict=True)
        return [results[place] for place in range(len(faces))]


def mean_distance(points: FacePoints, target: FacePoints) -> float:
    """Return the mean distance between the same points of two faces, pixels."""
    return float(np.linalg.norm(points - target, axis=1).mean())


def _embed(recognizer: Recognizer, face: Image) -> Embedding:
    [embedding] = recognizer.embed([to_recognizer_crop(face)])
    return np.asarray(embedding)


def _find_points(landmarker: Landmarker, face: Image) -> FacePoints | None:
    bordered, border = with_border(face)
    try:
        found = landmarker.find(bordered)
    except PROCESSING_ERRORS:  # a generator may make what no face looks like
        return None
    if not found:
        return None
    largest = max(found, key=lambda one: one.size)
    return np.asarray((largest.landmarks[:MESH_POINTS, :2] - border) * (POINTS_SIDE / len(face)), np.float64)
