"""An orderly stop on Ctrl-C."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from types import FrameType, TracebackType

Stop = Callable[[], bool]  # called between jobs; True means: finish the jobs in progress and return


class Interrupt:
    """A :data:`Stop` that becomes true on Ctrl-C; a second Ctrl-C raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self) -> bool:
        return self.pressed

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pressed:
            raise KeyboardInterrupt
        self.pressed = True

    def __enter__(self) -> "Interrupt":
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)


@contextlib.contextmanager
def ctrl_c_blocked() -> Iterator[None]:
    """Let processes that are started inside ignore Ctrl-C, which a terminal sends to all of them, from their first
    moment: they would die with a traceback while they import. This process gets its Ctrl-C at the end."""
    resource_tracker.ensure_running()  # its start unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
