"""Jobs spread over worker processes that load their model once; a worker that dies costs one job, not the run."""

import contextlib
import ctypes
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
Stop = Callable[[], bool]  # asked between jobs; True means: finish what is in hand and return
Work = Callable[[JobT], ResultT]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 64 << 20  # per process, at most: a 12-megapixel photo with room

_work: Any = None  # in a worker: what the first job opened


@dataclass(frozen=True, slots=True)
class Crash(Generic[JobT]):
    """A job during which the worker process died (a decoder's segmentation fault, the kernel's memory killer)."""

    job: JobT


def run_in_workers(
    open_work: Callable[[], Work[JobT, ResultT]], jobs: Sequence[JobT], workers: int, stop: Stop, ahead: int = 0
) -> Iterator[ResultT | Crash[JobT]]:
    """Do jobs in worker processes, results as they come.

    Args:
        open_work: called once in every worker; gives the function that does a job. Both it and
            the results must pickle.
        jobs: what to do, in this order.
        workers: how many processes.
        stop: see :data:`Stop`.
        ahead: jobs given out beyond what keeps the workers busy, for a caller that takes results in bursts.

    Raises:
        Whatever a job or ``open_work`` raises: a bad set-up shows at the first job.
    """
    # Several jobs a trip: a trip between processes costs a tenth of a photo. Not too many: all shall end together.
    per_trip = max(1, min(8, len(jobs) // (8 * workers)))
    trips = (jobs[start : start + per_trip] for start in range(0, len(jobs), per_trip))
    while True:
        suspects = yield from _run_pool(open_work, trips, workers, stop, 3 * workers + ahead // per_trip)
        if not suspects:
            return
        # A worker died and took the pool along. One of these jobs did it: which one shows when they go singly.
        yield from _run_singly(open_work, suspects, stop)


def _run_pool(
    open_work: Callable[[], Work[JobT, ResultT]], trips: Iterator[Sequence[JobT]], workers: int, stop: Stop, limit: int
) -> Generator[ResultT, None, list[JobT]]:
    """Returns the jobs that were in hand when a worker died; none when all went well."""
    pending: dict[Future[list[ResultT]], Sequence[JobT]] = {}
    handing: Sequence[JobT] = []  # neither with the source nor with the pool
    pool = _pool(open_work, workers)
    try:
        while True:
            if stop():
                pending = {future: trip for future, trip in pending.items() if not future.cancel()}
            else:
                for handing in islice(trips, limit - len(pending)):
                    pending[pool.submit(_do, handing)] = handing
                handing = []
            if not pending:
                return []
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                results = future.result()
                del pending[future]
                yield from results
    except BrokenProcessPool:
        whole = [future for future in pending if future.done() and future.exception() is None]
        for future in whole:
            yield from future.result()
        lost = [trip for future, trip in pending.items() if future not in whole and trip is not handing]
        return [job for trip in (*lost, handing) for job in trip]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_singly(
    open_work: Callable[[], Work[JobT, ResultT]], jobs: Sequence[JobT], stop: Stop
) -> Iterator[ResultT | Crash[JobT]]:
    """One process, one job at a time: the job in hand when it dies is the one that killed it."""
    waiting = deque(jobs)
    while waiting and not stop():
        with _pool(open_work, 1) as pool:
            try:
                while waiting and not stop():
                    results = pool.submit(_do, [waiting[0]]).result()
                    waiting.popleft()
                    yield from results
            except BrokenProcessPool:
                yield Crash(waiting.popleft())


def _pool(open_work: Callable[[], Any], workers: int) -> ProcessPoolExecutor:
    # spawn: a forked copy of a process with threads (MediaPipe, torch) can deadlock
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start, initargs=(open_work,))


def _start(open_work: Callable[[], Any]) -> None:
    """In a new worker: Ctrl-C is the parent's business, without a parent there is nothing left to do, and what C
    libraries mutter about single files would tear the parent's progress bar."""
    global _work
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _keep_freed_memory()
    _work = _Lazy(open_work)


def _keep_freed_memory() -> None:
    """Tell glibc not to hand every freed photo back to the system: fetching it again costs a tenth of all time."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        glibc = ctypes.CDLL(None)
        for limit in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            glibc.mallopt(limit, KEPT_BYTES)


class _Lazy:
    """Opens the work at the first job: an error there reaches the caller, in an initializer it only breaks the pool."""

    def __init__(self, open_work: Callable[[], Any]) -> None:
        self._open = open_work
        self._opened: Callable[[Any], Any] | None = None

    def __call__(self, job: Any) -> Any:
        if self._opened is None:
            self._opened = self._open()
        return self._opened(job)


def _do(trip: Sequence[Any]) -> list[Any]:
    return [_work(job) for job in trip]


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
