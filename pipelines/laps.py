"""Where the time of one photo goes: seconds by stage, collected wherever the photo is worked on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.landmarks import Face, Landmarker
from toolkit.photos import Photo

Laps = dict[tuple[str, str], float]  # (place, stage) -> seconds; a place is what works side by side with the others


class _Watch(threading.local):
    laps: Laps | None = None
    place = ""
    running: list[str]
    since = 0.0

    def note(self) -> None:
        now = time.perf_counter()
        if self.running and self.laps is not None:
            key = (self.place, self.running[-1])
            self.laps[key] = self.laps.get(key, 0.0) + now - self.since
        self.since = now


_watch = _Watch()


@contextmanager
def timed(laps: Laps, place: str) -> Iterator[None]:
    """Laps of this thread are added to these."""
    _watch.laps, _watch.place, _watch.running = laps, place, []
    try:
        yield
    finally:
        _watch.laps = None


@contextmanager
def lap(stage: str) -> Iterator[None]:
    """Time what is inside; while an inner stage runs, the outer one stands still. Outside :func:`timed`, nothing."""
    if _watch.laps is None:
        yield
        return
    _watch.note()
    _watch.running.append(stage)
    try:
        yield
    finally:
        _watch.note()
        _watch.running.pop()


class TimedPhoto(Photo):
    """A photo whose decoding is a lap."""

    def __init__(self, data: bytes) -> None:
        with lap("decode"):
            super().__init__(data)

    @property
    def size(self) -> tuple[int, int]:
        """See :class:`toolkit.photos.Photo`."""
        with lap("decode"):
            return super().size

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """See :class:`toolkit.photos.Photo`."""
        with lap("decode"):
            return super().pixels(scale)


@dataclass(frozen=True, slots=True)
class TimedLandmarker:
    """A landmarker whose search is a lap."""

    landmarker: Landmarker

    def find(self, photo: NDArray[np.uint8], every: bool = False) -> list[Face]:
        """See :class:`toolkit.landmarks.Landmarker`."""
        with lap("landmarks"):
            return self.landmarker.find(photo, every)
