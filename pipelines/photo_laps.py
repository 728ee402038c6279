"""In a worker process: what each stage of `batch --model geometric` takes of one photo.

The photo goes through the real thing: decoder and landmarker are handed to :func:`toolkit.align.align_photo` with a
watch around them. In a worker, since memory and threads are set there as in bulk; and no torch here either.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.configs import AlignPhotosConfig
from pipelines.crops import open_quiet_landmarker
from toolkit.align import AlignConfig, Decoder, align_photo, magnification
from toolkit.cascade import FindConfig
from toolkit.errors import PhotoError
from toolkit.images import encode_image, write_whole
from toolkit.landmarks import Face, Landmarker, resized
from toolkit.photos import Photo, read_bytes
from toolkit.steady import SteadyMesh
from toolkit.views import frontal_view

SEARCHING = ("decode", "landmarks")  # what a photo without a face costs
STAGES = (*SEARCHING, "warp", "frontal view", "encode")
SIDE, SUFFIX, QUALITY = AlignConfig().size, f".{AlignPhotosConfig().format}", AlignPhotosConfig().quality


class Laps:
    """Seconds by stage; while an inner stage runs, the outer one stands still."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._clock, self._since = clock, 0.0
        self._running: list[str] = []

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is inside."""
        self._note()
        self._running.append(stage)
        try:
            yield
        finally:
            self._note()
            self._running.pop()

    def _note(self) -> None:
        now = self._clock()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


@dataclass(frozen=True, slots=True)
class LapJob:
    """One photo to time."""

    round: int
    path: Path
    view: str  # what its view shall be called


@dataclass(slots=True)
class PhotoLaps:
    """One photo, timed."""

    job: LapJob
    size_wh: tuple[int, int] = (0, 0)  # pixels
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, as far as it came
    has_face: bool = False

    @property
    def readable(self) -> bool:
        """Whether it could be decoded and searched."""
        return "landmarks" in self.seconds


@dataclass(frozen=True, slots=True)
class _TimedDecoder:
    photo: Decoder
    laps: Laps

    @property
    def size(self) -> tuple[int, int]:
        with self.laps("decode"):
            return self.photo.size

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        with self.laps("decode"):
            return self.photo.pixels(scale)


@dataclass(frozen=True, slots=True)
class _TimedLandmarker:
    landmarker: Landmarker
    laps: Laps

    def find(self, photo: NDArray[np.uint8], every: bool = False) -> list[Face]:
        with self.laps("landmarks"):
            return self.landmarker.find(photo, every)


def open_photo_laps(scratch: Path) -> Callable[[LapJob], PhotoLaps]:
    """For :func:`pipelines.workers.run_in_workers`; views are written into ``scratch``."""
    landmarker, steady = open_quiet_landmarker(FindConfig()), SteadyMesh()

    def work(job: LapJob) -> PhotoLaps:
        laps, done = Laps(), PhotoLaps(job)
        with suppress(PhotoError):
            with laps("decode"):
                photo = _TimedDecoder(Photo(read_bytes(job.path)), laps)
                done.size_wh = photo.size
            with laps("warp"):
                [crop] = align_photo(photo, _TimedLandmarker(landmarker, laps), AlignConfig())
                pixels, scale = photo.pixels(magnification(crop.matrix))
            with laps("frontal view"):
                view, _ = frontal_view(pixels, steady(pixels, resized(crop.face, scale)), SIDE)
            with laps("encode"):
                write_whole(scratch / job.view, encode_image(view, SUFFIX, QUALITY))
            done.has_face = True
        done.seconds = dict(laps.seconds)
        return done

    return work
