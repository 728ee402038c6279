"""Where the time of one photo goes: seconds by stage, collected wherever the photo is worked on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

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
