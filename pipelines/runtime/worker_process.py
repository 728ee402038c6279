"""The inside of a worker process: load once, do one job after another, within bounds of memory."""

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

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 64 << 20  # freed memory that a process keeps at most: a 12-megapixel photo with room


@dataclass(frozen=True, slots=True)
class Crash(Generic[JobT]):
    """A job that ended its worker process, or would have: a decoder's segmentation fault, a hang, too much memory."""

    job: JobT
    error: PhotoFailed  # ``crashed``, ``timeout`` or ``out-of-memory``


def serve(
    pipe: Connection,
    stopping: Connection,
    load: Callable[[], Any],
    work: Callable[[Any, Any], Any],
    memory: int,
    started_jobs: Any,
    since: Any,
) -> None:
    """Run a worker process: load, then do jobs until the parent is done or gone.

    Args:
        pipe: receives chunks of jobs, sends messages: pickled pairs of a kind and a value.
        stopping: closed by the parent when no more jobs should be started.
        load: see :func:`pipelines.runtime.worker_pool.run_in_workers`.
        work: likewise.
        memory: bytes that one job may take.
        started_jobs: shared with the parent: the number of jobs started so far.
        since: shared with the parent: start of the job in progress by the monotonic clock; 0 without one.
    """
    _prepare_process()
    stop = select.poll()
    stop.register(stopping.fileno(), select.POLLIN | select.POLLHUP)

    def do(job: Any) -> Any:
        since.value = time.monotonic()
        started_jobs.value += 1
        try:
            return work(model, job)
        except MemoryError:
            detail = f"wanted more than the {memory >> 20:,} MB that one photo may take; scale it down first"
            return Crash(job, PhotoFailed("out-of-memory", detail))

    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent has gone
        try:
            model = load()
        except Exception as error:  # noqa: BLE001  the parent raises it
            pipe.send_bytes(_error_message(error))
            return
        _limit_memory(memory)
        pipe.send_bytes(pickle.dumps(("loaded", None)))
        while chunk := pipe.recv_bytes():
            pipe.send_bytes(_do_chunk(do, chunk, stop))
            since.value = 0.0


def _do_chunk(do: Callable[[Any], Any], chunk: bytes, stop: select.poll) -> bytes:
    try:
        return pickle.dumps(("done", [do(job) for job in pickle.loads(chunk) if not stop.poll(0)]))
    except Exception as error:  # noqa: BLE001  the parent raises it
        return _error_message(error)


def _error_message(error: Exception) -> bytes:
    """An error for the parent with its traceback; as text if it does not pickle."""
    error.add_note(f"in a worker process:\n{traceback.format_exc()}")
    try:
        message = pickle.dumps(("error", error))
        pickle.loads(message)
    except (pickle.PicklingError, TypeError, AttributeError):
        message = pickle.dumps(("error", RuntimeError("".join(traceback.format_exception(error)))))
    return message


def _prepare_process() -> None:
    """Ignore Ctrl-C, which the parent handles; end with the parent; write no core files; silence stderr, where C
    libraries report single files and would tear the parent's progress bar."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    _keep_freed_memory()


def _limit_memory(most: int) -> None:
    """Limit what is allocated from now on; beyond, allocations fail, as MemoryError where the library raises one.

    RLIMIT_DATA counts what is written to; RLIMIT_AS would count what ONNX Runtime and torch only reserve.
    """
    with contextlib.suppress(OSError):  # no /proc: not Linux, no limit
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        used = next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmData:"))
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        bound = used + most if hard == resource.RLIM_INFINITY else min(hard, used + most)
        resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))


def _keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next photo: returning it to the system costs a tenth of all time."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        glibc = ctypes.CDLL(None)
        for limit in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            glibc.mallopt(limit, KEPT_BYTES)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
