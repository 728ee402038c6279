"""A worker process from the inside: opens its work once, does job after job, and knows its bounds."""

import contextlib
import ctypes
import multiprocessing
import os
import pickle
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Generic, TypeVar

from toolkit.errors import PhotoFailed

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
Work = Callable[[JobT], ResultT]
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 64 << 20  # per process, at most: a 12-megapixel photo with room


@dataclass(frozen=True, slots=True)
class Crash(Generic[JobT]):
    """A job that ended its worker process, or would have: a decoder's segmentation fault, a hang, too much memory."""

    job: JobT
    error: PhotoFailed  # ``crashed``, ``timeout`` or ``out-of-memory``


def serve(
    pipe: Connection, stopping: Connection, open_work: Callable[[], Work[Any, Any]], memory: int, begun: Any, since: Any
) -> None:
    """A worker's life: open the work, do job after job, until its parent is done or gone.

    Args:
        pipe: brings trips of jobs, takes answers: pairs of a word and a value, pickled.
        stopping: ends when no more jobs shall be done.
        open_work: see :func:`pipelines.runtime.worker_pool.run_in_workers`.
        memory: bytes that a job may take.
        begun: shared with the parent: how many jobs were begun.
        since: shared likewise: when the one in hand was, by the monotonic clock; 0 without one.
    """
    _settle()
    stop = select.poll()
    stop.register(stopping.fileno(), select.POLLIN | select.POLLHUP)

    def do(job: Any) -> Any:
        since.value = time.monotonic()
        begun.value += 1
        try:
            return work(job)
        except MemoryError:
            detail = f"wanted more than the {memory >> 20:,} MB that one photo may take; scale it down first"
            return Crash(job, PhotoFailed("out-of-memory", detail))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent wants no more
        try:
            work = open_work()
        except Exception as error:  # noqa: BLE001  the parent raises it
            pipe.send_bytes(_packed(error))
            return
        _limit_memory(memory)
        pipe.send_bytes(pickle.dumps(("open", None)))
        while said := pipe.recv_bytes():
            pipe.send_bytes(_answer(do, said, stop))
            since.value = 0.0


def _answer(do: Callable[[Any], Any], said: bytes, stop: select.poll) -> bytes:
    try:
        return pickle.dumps(("done", [do(job) for job in pickle.loads(said) if not stop.poll(0)]))
    except Exception as error:  # noqa: BLE001  the parent raises it
        return _packed(error)


def _packed(error: Exception) -> bytes:
    """An error for the parent, with where it happened; as text where it does not survive the trip."""
    error.add_note(f"in a worker process:\n{traceback.format_exc()}")
    try:
        said = pickle.dumps(("error", error))
        pickle.loads(said)
    except (pickle.PicklingError, TypeError, AttributeError):
        said = pickle.dumps(("error", RuntimeError("".join(traceback.format_exception(error)))))
    return said


def _settle() -> None:
    """In a new worker: Ctrl-C is the parent's business, without a parent there is nothing left to do, what C
    libraries mutter about single files would tear the parent's progress bar, and no crash leaves a core file."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _keep_freed_memory()


def _limit_memory(most: int) -> None:
    """From now on, so many bytes more: what is beyond fails, as MemoryError where the library is kind.

    RLIMIT_DATA counts what is written to; RLIMIT_AS would count what MediaPipe and torch only reserve.
    """
    with contextlib.suppress(OSError):  # no /proc: not Linux, no limit
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        used = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bound = used + most if hard == resource.RLIM_INFINITY else min(hard, used + most)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))


def _keep_freed_memory() -> None:
    """Tell glibc not to hand every freed photo back to the system: fetching it again costs a tenth of all time."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        glibc = ctypes.CDLL(None)
        for limit in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            glibc.mallopt(limit, KEPT_BYTES)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
