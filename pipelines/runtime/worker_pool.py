"""A pool of worker processes that load their models once; a job that crashes or hangs fails alone.

Each worker has its own pipe and records in shared memory which job it is doing and since when, so that whatever ends
the process, the job in progress is known. A thread listens to each pipe, so results are received while the caller is
busy.

`concurrent.futures` loses the whole pool with one worker. Pebble (5.2 was tried) reports which job crashed, but hides
the error of a worker that cannot load, counts loading towards the first job's time limit, leaves workers running when
the parent is killed, and is ten times slower for small jobs (3,000/s instead of 35,000/s).
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from pipelines.runtime.config import JobLimits
from pipelines.runtime.interrupt import Stop, ctrl_c_blocked
from pipelines.runtime.worker_process import Crash as Crash
from pipelines.runtime.worker_process import serve
from toolkit.errors import ConfigError, PhotoFailed

ModelT = TypeVar("ModelT")
JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")
MessageKind = Literal["loaded", "done", "error"]  # what a worker sends

CHUNKS_PER_WORKER = 2  # sent to a worker: while it does one, the next waits in its pipe
POLL_INTERVAL = 0.5  # seconds between checks of the clock and of Ctrl-C while no result arrives
LOAD_TIMEOUT = 600.0  # seconds for a worker to load its models, on a busy machine with cold disks
# Read when NumPy is loaded. The workers fill the cores: a small matrix product that waits for a thread of its own
# takes a hundred times as long, and its result would depend on the number of cores.
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1")
MAX_LOAD_DEATHS = 3  # workers in a row that died while loading: no photo is at fault

_spawn = multiprocessing.get_context("spawn")  # a forked copy of a process with threads, as torch's, can deadlock


def run_in_workers(
    load: Callable[[], ModelT],
    work: Callable[[ModelT, JobT], ResultT],
    jobs: Iterable[JobT],
    workers: int,
    stop: Stop,
    ahead: int = 0,
    limits: JobLimits | None = None,
) -> Iterator[ResultT | Crash[JobT]]:
    """Do jobs in worker processes; yield results as they come.

    Args:
        load: called once in each worker, before its first job; what it returns is passed to ``work``.
        work: does one job. ``load``, ``work`` and the results must pickle.
        jobs: in the order in which they are started. Of an iterator no more is taken than the workers need.
        workers: number of processes.
        stop: see :data:`pipelines.runtime.interrupt.Stop`.
        ahead: jobs to do in advance, beyond what keeps the workers busy, for a caller that takes results in bursts.
        limits: for one job; None means the defaults.

    Raises:
        ConfigError: workers die before they have loaded.
        Whatever ``load`` or ``work`` raises: a wrong set-up shows at the first job.
    """
    # Several jobs per message: a round trip between processes costs a tenth of a photo. Not too many: all workers
    # should finish at the same time.
    chunk_size = max(1, min(8, len(jobs) // (8 * workers))) if isinstance(jobs, Sequence) else 1
    depth = CHUNKS_PER_WORKER + ahead // (workers * chunk_size)
    pool = _Pool(load, work, _chunks(jobs, chunk_size), workers, depth, limits or JobLimits())
    try:
        yield from pool.run(stop)
    finally:
        pool.close()


def _chunks(jobs: Iterable[Any], size: int) -> Iterator[list[Any]]:
    source = iter(jobs)
    while chunk := list(islice(source, size)):
        yield chunk


class _Worker:
    """One process, as its parent sees it."""

    def __init__(
        self,
        load: Callable[[], Any],
        work: Callable[[Any, Any], Any],
        memory: int,
        stopping: Connection,
        inbox: SimpleQueue[Any],
    ) -> None:
        self.pipe, theirs = _spawn.Pipe()
        self._started_jobs, self._since = _spawn.RawValue("Q", 0), _spawn.RawValue("d", 0.0)  # set by the process
        args = (theirs, stopping, load, work, memory, self._started_jobs, self._since)
        self.process = _spawn.Process(target=serve, args=args, daemon=True)
        with _environment(ONE_THREAD), ctrl_c_blocked():
            self.process.start()
        theirs.close()  # otherwise the pipe would stay open when the worker dies
        self._start_time, self._finished_jobs = time.monotonic(), 0
        self.chunks: deque[Sequence[Any]] = deque()  # sent, not answered yet
        self.is_loaded = self.is_overdue = False
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def send(self, chunk: Sequence[Any]) -> None:
        self.chunks.append(chunk)
        with contextlib.suppress(OSError):  # it has just died: the listener reports that
            self.pipe.send(chunk)

    def finish_chunk(self) -> None:
        self._finished_jobs += len(self.chunks.popleft())

    def unfinished(self) -> tuple[list[Any], list[Any]]:
        """The job in progress, if any; and the others."""
        jobs = [job for chunk in self.chunks for job in chunk]
        at = self._started_jobs.value - self._finished_jobs
        return jobs[max(0, at - 1) : at], jobs[: max(0, at - 1)] + jobs[at:]

    def seconds_left(self, seconds: float) -> float:
        """Until it is overdue; all of them while it waits for jobs."""
        if not self.is_loaded:
            return self._start_time + LOAD_TIMEOUT - time.monotonic()
        since = self._since.value  # read once: the process may finish its job in between
        return since + seconds - time.monotonic() if since else seconds

    def kill_overdue(self) -> None:
        self.is_overdue = True
        self.process.kill()

    def _listen(self, inbox: SimpleQueue[Any]) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                inbox.put((self, self.pipe.recv_bytes()))
        inbox.put((self, None))


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that a process started inside inherits."""
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
        self,
        load: Callable[[], Any],
        work: Callable[[Any, Any], Any],
        chunks: Iterator[Sequence[Any]],
        workers: int,
        depth: int,
        limits: JobLimits,
    ) -> None:
        self._load, self._work, self._count, self._depth, self._limits = load, work, workers, depth, limits
        self._source: Iterator[Sequence[Any]] | None = chunks  # None once it is exhausted
        self._returned: deque[Sequence[Any]] = deque()  # taken from the source, not sent or sent in vain
        self._inbox: SimpleQueue[tuple[_Worker, bytes | None]] = SimpleQueue()
        self._stopping, self._go_on = _spawn.Pipe(duplex=False)  # closed: workers start no more jobs
        self._load_deaths = 0  # workers in a row that died without a job in progress
        self._workers: list[_Worker] = []

    def run(self, stop: Stop) -> Iterator[Any]:
        self._returned += [chunk for _ in range(self._count) if (chunk := self._take_from_source()) is not None]
        for _ in range(len(self._returned)):
            self._start_worker()
        while True:
            if stop():
                self._go_on.close()
                self._returned.clear()
                self._source = None
            for worker in self._workers:
                while worker.is_loaded and len(worker.chunks) < self._depth and (chunk := self._next_chunk()):
                    worker.send(chunk)
            if not self._returned and self._source is None and not any(worker.chunks for worker in self._workers):
                return
            self._kill_overdue()
            try:
                worker, message = self._inbox.get(timeout=POLL_INTERVAL)
            except Empty:
                continue
            if message is None:
                yield from self._reap(worker)
            else:
                yield from self._receive(worker, *pickle.loads(message))

    def close(self) -> None:
        """Let every worker finish the job in progress, and end it."""
        self._go_on.close()
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.pipe.send_bytes(b"")
        for worker in self._workers:
            worker.process.join(max(0.0, worker.seconds_left(self._limits.seconds)) if worker.is_loaded else 0)
            worker.process.kill()
            worker.process.join()
        self._stopping.close()

    def _next_chunk(self) -> Sequence[Any] | None:
        return self._returned.popleft() if self._returned else self._take_from_source()

    def _take_from_source(self) -> Sequence[Any] | None:
        chunk = None if self._source is None else next(self._source, None)
        if chunk is None:
            self._source = None
        return chunk

    def _start_worker(self) -> None:
        worker = _Worker(self._load, self._work, self._limits.memory, self._stopping, self._inbox)
        self._workers.append(worker)

    def _receive(self, worker: _Worker, kind: MessageKind, value: Any) -> Iterator[Any]:
        if kind == "error":
            raise value
        if kind == "loaded":
            worker.is_loaded = True
        else:
            worker.finish_chunk()
            yield from value

    def _reap(self, worker: _Worker) -> Iterator[Any]:
        """A worker died: the job in progress failed, its successor gets the others."""
        worker.process.join()
        self._workers.remove(worker)
        crashed, others = worker.unfinished()
        self._load_deaths = 0 if crashed else self._load_deaths + 1
        if self._load_deaths == MAX_LOAD_DEATHS:
            raise ConfigError(
                f"worker processes died {MAX_LOAD_DEATHS} times before they did anything ({_cause_of_death(worker)}): "
                "too little memory for that many --workers, or a damaged model file"
            )
        if not self._go_on.closed:
            self._returned.extendleft([job] for job in reversed(others))
        if self._returned or self._source is not None:
            self._start_worker()
        for job in crashed:
            yield Crash(job, self._failure(worker))

    def _failure(self, worker: _Worker) -> PhotoFailed:
        if worker.is_overdue:
            seconds = self._limits.seconds
            return PhotoFailed("timeout", f"not done after {seconds:g} s; its process was ended, the others went on")
        return PhotoFailed(
            "crashed", f"the process that read this file died ({_cause_of_death(worker)}); the file may be damaged"
        )

    def _kill_overdue(self) -> None:
        for worker in self._workers:
            if worker.seconds_left(self._limits.seconds) < 0:
                worker.kill_overdue()


def _cause_of_death(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    if code == -signal.SIGKILL:
        return "killed, as the system does when memory runs out"
    return signal.strsignal(-code) or f"signal {-code}" if code < 0 else f"exit code {code}"
