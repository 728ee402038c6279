"""Jobs on Ray: on the cluster that RAY_ADDRESS names, or on one started on this machine for the duration of the run.

Photos are blocks of a Ray Data set, stages are actors; the ledger is written by the process that started the run. SRC
and OUT must be the same folders on all machines, and frontalize must be installed on each.
"""

import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipelines.extras import require_extra
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job
from pipelines.runtime.run import Work
from toolkit.errors import ConfigError
from toolkit.records.ledger import Outcome

COLUMN = "pickled"
RETRIES = 2  # of a block whose actor died: after a third death the block is more likely at fault than the machine


@dataclass(frozen=True, slots=True)
class RayStage:
    """One kind of actor. All of its fields, its inputs and its results must pickle."""

    load: Callable[[], Any]  # called once in each actor
    work: Callable[[Any, list[Any]], Iterable[Any]]  # what load() returned, and a block of items -> results
    on_gpu: bool = False  # one actor per GPU, else one per core


def run_on_ray(stages: Sequence[RayStage], per_block: int, workers: int, stop: Stop, one_by_one: Work) -> Work:
    """Make the work of :func:`pipelines.runtime.run.run_bulk` that sends blocks of jobs through all stages on Ray.

    Args:
        stages: applied in this order; the last one returns outcomes.
        per_block: jobs in a block.
        workers: cores that a Ray started here may use; on a cluster all are used.
        stop: see :data:`pipelines.runtime.interrupt.Stop`; blocks in progress are dropped and done by the next run.
        one_by_one: does the jobs without an outcome because their actor died repeatedly, so that only the job at
            fault fails.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at RAY_ADDRESS.
    """
    require_extra("ray", "engine ray", "ray.data", "pyarrow", instead="--engine local")

    def work(jobs: Sequence[Job]) -> Iterator[Outcome]:
        open_jobs = {job.input: job for job in jobs}
        if not jobs:
            return
        with _session(workers), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of Ray, about what its next versions rename
            for block in _results(jobs, stages, per_block):
                for outcome in block:
                    open_jobs.pop(outcome.input, None)
                    yield outcome
                if stop():
                    return
        yield from one_by_one(list(open_jobs.values()))

    return work


def _results(jobs: Sequence[Job], stages: Sequence[RayStage], per_block: int) -> Iterator[list[Outcome]]:
    import pyarrow as pa
    import ray.data
    from ray.data import ActorPoolStrategy

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # those whose actors died repeatedly are done one by one by the caller
    chunks = [jobs[start : start + per_block] for start in range(0, len(jobs), per_block)]
    blocks: ray.data.Dataset = ray.data.from_arrow([_table(chunk) for chunk in chunks])
    found = ray.cluster_resources()
    for stage in stages:
        actors = int(found.get("GPU" if stage.on_gpu else "CPU", 0))
        blocks = blocks.map_batches(
            _Actor,
            fn_constructor_args=(pickle.dumps(stage),),
            batch_size=None,  # a block as it is
            batch_format="pyarrow",
            # One block per actor at a time: blocks queued behind one that kills its actor would fail with it.
            compute=ActorPoolStrategy(size=max(1, min(actors, len(chunks))), max_tasks_in_flight_per_actor=1),
            num_cpus=0 if stage.on_gpu else 1,
            num_gpus=1 if stage.on_gpu else 0,
            max_restarts=-1,
            max_task_retries=RETRIES,  # Ray's default is to retry forever
        )
    for batch in blocks.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield _items(pa.table(batch))


class _Actor:
    """A process of Ray: loads a stage once, then does one block after another."""

    def __init__(self, pickled: bytes) -> None:
        stage: RayStage = pickle.loads(pickled)
        self._model, self._work = stage.load(), stage.work

    def __call__(self, block: Any) -> Any:
        return _table(self._work(self._model, _items(block)))


def _table(items: Iterable[Any]) -> Any:
    import pyarrow as pa

    # Not NumPy: its byte strings lose trailing zeros.
    return pa.table({COLUMN: pa.array([pickle.dumps(item) for item in items], pa.large_binary())})


def _items(table: Any) -> list[Any]:
    return [pickle.loads(item.as_py()) for item in table[COLUMN]]


@contextmanager
def _session(workers: int) -> Iterator[None]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would call home
    os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")  # of its statistics, once for every block
    os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's workers would yield to everything else: 15
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # to the screen; Ray's own log has the rest
    import ray

    if ray.is_initialized():  # by a program that called us
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if address := os.environ.get("RAY_ADDRESS"):
            ray.init(address, **quiet)
        else:
            ray.init("local", num_cpus=workers, include_dashboard=False, **quiet)
    except (ConnectionError, ValueError) as error:
        raise ConfigError(f"engine ray: no cluster found ({error}); is RAY_ADDRESS right?") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()
