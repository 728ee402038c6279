"""Jobs spread over worker processes that load their model once; one that dies or hangs costs one job, not the run.

Every worker has a pipe of its own, and says in shared memory which of its jobs it is doing and since when: whatever
ends it, that job is to blame. A thread listens to each, so that results are taken in while the caller is busy.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from pipelines.runtime.config import JobLimits
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_process import Crash as Crash
from pipelines.runtime.worker_process import Work, serve
from toolkit.errors import ConfigError, PhotoFailed

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
Kind = Literal["open", "done", "error"]  # what a worker says
DEPTH = 2  # trips given to a worker: the next one is there when it asks
GLANCE = 0.5  # seconds between looks at the clock and at Ctrl-C while nothing comes
OPENING = 600.0  # seconds for a worker to load its model, on a busy machine with cold disks

# Read when NumPy is loaded. The workers fill the cores: a small matrix product that waits for a thread of its own
# takes a hundred times as long, and what it gives would depend on how many cores there are.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
TRIES = 3  # workers that die one after the other while they load: the fault is no photo's
_spawn = multiprocessing.get_context("spawn")  # a forked copy of a process with threads (MediaPipe, torch) can deadlock


def run_in_workers(
    open_work: Callable[[], Work[JobT, ResultT]],
    jobs: Sequence[JobT],
    workers: int,
    stop: Stop,
    ahead: int = 0,
    limits: JobLimits | None = None,
) -> Iterator[ResultT | Crash[JobT]]:
    """Do jobs in worker processes, results as they come.

    Args:
        open_work: called once in every worker; gives the function that does a job. Both it and
            the results must pickle.
        jobs: what to do, in this order.
        workers: how many processes.
        stop: see :data:`Stop`.
        ahead: jobs given out beyond what keeps the workers busy, for a caller that takes results in bursts.
        limits: of one job; None: the defaults.

    Raises:
        ConfigError: workers die before they have loaded what they need.
        Whatever a job or ``open_work`` raises: a bad set-up shows at the first job.
    """
    # Several jobs a trip: a trip between processes costs a tenth of a photo. Not too many: all shall end together.
    per_trip = max(1, min(8, len(jobs) // (8 * workers)))
    trips = [jobs[start : start + per_trip] for start in range(0, len(jobs), per_trip)]
    pool = _Pool(open_work, trips, workers, DEPTH + ahead // (workers * per_trip), limits or JobLimits())
    try:
        yield from pool.run(stop)
    finally:
        pool.close()


class _Worker:
    """One process, seen from its parent."""

    def __init__(
        self, open_work: Callable[[], Any], memory: int, stopping: Connection, inbox: SimpleQueue[Any]
    ) -> None:
        self.pipe, theirs = _spawn.Pipe()
        self._begun, self._since = _spawn.RawValue("Q", 0), _spawn.RawValue("d", 0.0)  # written by the process
        args = (theirs, stopping, open_work, memory, self._begun, self._since)
        self.process = _spawn.Process(target=serve, args=args, daemon=True)
        with _environment(ONE_THREAD):
            self.process.start()
        theirs.close()  # or a worker's death would not be heard
        self._started, self._answered = time.monotonic(), 0  # when; how many jobs
        self.trips: deque[Sequence[Any]] = deque()  # given and not answered
        self.is_open = self.is_overdue = False
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def give(self, trip: Sequence[Any]) -> None:
        self.trips.append(trip)
        with contextlib.suppress(OSError):  # it has just died: the listener will say so
            self.pipe.send(trip)

    def answered(self) -> None:
        self._answered += len(self.trips.popleft())

    def unanswered(self) -> tuple[list[Any], list[Any]]:
        """The job it is or was doing, if any; and the others."""
        jobs = [job for trip in self.trips for job in trip]
        at = self._begun.value - self._answered
        return jobs[max(0, at - 1) : at], jobs[: max(0, at - 1)] + jobs[at:]

    def seconds_left(self, seconds: float) -> float:
        """Until it is overdue; while it waits for jobs, all of them."""
        if not self.is_open:
            return self._started + OPENING - time.monotonic()
        since = self._since.value  # once: the process may finish its job between two looks
        return since + seconds - time.monotonic() if since else seconds

    def end(self) -> None:
        self.is_overdue = True
        self.process.kill()

    def _listen(self, inbox: SimpleQueue[Any]) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                inbox.put((self, self.pipe.recv_bytes()))
        inbox.put((self, None))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """What a process that is started now will inherit."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _Pool:
    def __init__(
        self, open_work: Callable[[], Any], trips: list[Sequence[Any]], workers: int, depth: int, limits: JobLimits
    ) -> None:
        self._open_work, self._depth, self._limits = open_work, depth, limits
        self._trips = deque(trips)
        self._inbox: SimpleQueue[tuple[_Worker, bytes | None]] = SimpleQueue()
        self._stopping, self._go_on = _spawn.Pipe(duplex=False)  # closed: workers do no more
        self._blameless = 0  # workers in a row that died without a job in hand
        self._workers: list[_Worker] = []
        for _ in range(min(workers, len(trips))):
            self._start_worker()

    def run(self, stop: Stop) -> Iterator[Any]:
        while True:
            if stop():
                self._go_on.close()
                self._trips.clear()
            for worker in self._workers:
                while worker.is_open and self._trips and len(worker.trips) < self._depth:
                    worker.give(self._trips.popleft())
            if not self._trips and not any(worker.trips for worker in self._workers):
                return
            self._end_overdue()
            try:
                worker, said = self._inbox.get(timeout=GLANCE)
            except Empty:
                continue
            if said is None:
                yield from self._bury(worker)
            else:
                yield from self._take(worker, *pickle.loads(said))

    def close(self) -> None:
        """Let every worker finish the job in hand, and end it."""
        self._go_on.close()
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.pipe.send_bytes(b"")
        for worker in self._workers:
            worker.process.join(max(0.0, worker.seconds_left(self._limits.seconds)) if worker.is_open else 0)
            worker.process.kill()
            worker.process.join()
        self._stopping.close()

    def _start_worker(self) -> None:
        self._workers.append(_Worker(self._open_work, self._limits.memory, self._stopping, self._inbox))

    def _take(self, worker: _Worker, kind: Kind, value: Any) -> Iterator[Any]:
        if kind == "error":
            raise value
        if kind == "open":
            worker.is_open = True
        else:
            worker.answered()
            yield from value

    def _bury(self, worker: _Worker) -> Iterator[Any]:
        """A worker is gone: the job in hand is to blame, the others go to its successor."""
        worker.process.join()
        self._workers.remove(worker)
        blamed, others = worker.unanswered()
        self._blameless = 0 if blamed else self._blameless + 1
        if self._blameless == TRIES:
            raise ConfigError(
                f"worker processes died {TRIES} times before they did anything ({_death(worker)}): too little memory "
                "for that many --workers, or a damaged model file"
            )
        if not self._go_on.closed:
            self._trips.extendleft([job] for job in reversed(others))
        if self._trips:
            self._start_worker()
        for job in blamed:
            yield Crash(job, self._blame(worker))

    def _blame(self, worker: _Worker) -> PhotoFailed:
        if worker.is_overdue:
            seconds = self._limits.seconds
            return PhotoFailed("timeout", f"not done after {seconds:g} s; its process was ended, the others went on")
        return PhotoFailed(
            "crashed", f"the process that read this file died ({_death(worker)}); the file may be damaged"
        )

    def _end_overdue(self) -> None:
        for worker in self._workers:
            if worker.seconds_left(self._limits.seconds) < 0:
                worker.end()


def _death(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    if code == -signal.SIGKILL:
        return "killed, as the system does when memory runs out"
    return signal.strsignal(-code) or f"signal {-code}" if code < 0 else f"exit code {code}"
