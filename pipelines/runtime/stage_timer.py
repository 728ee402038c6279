"""Seconds that each stage of the work on one photo takes, summed up wherever the photo is worked on."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

StageSeconds = dict[tuple[str, str], float]  # (place, stage) -> seconds; places work in parallel with each other


class _State(threading.local):
    seconds: StageSeconds | None = None
    place = ""
    running: list[str]  # stages, the innermost last
    since = 0.0

    def update(self) -> None:
        now = time.perf_counter()
        if self.running and self.seconds is not None:
            key = (self.place, self.running[-1])
            self.seconds[key] = self.seconds.get(key, 0.0) + now - self.since
        self.since = now


_state = _State()


@contextmanager
def record_stages(seconds: StageSeconds, place: str) -> Iterator[None]:
    """Add the stages that this thread runs inside to ``seconds``.

    Args:
        seconds: added to in place.
        place: where the thread works: ``workers``, ``network`` or ``writers``.
    """
    _state.seconds, _state.place, _state.running = seconds, place, []
    try:
        yield
    finally:
        _state.seconds = None


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Time what runs inside as one stage. An inner stage pauses the outer one.

    Outside :func:`record_stages` nothing is recorded.
    """
    if _state.seconds is None:
        yield
        return
    _state.update()
    _state.running.append(name)
    try:
        yield
    finally:
        _state.update()
        _state.running.pop()
