"""Jobs on Ray: a cluster that RAY_ADDRESS names, or one started on this machine for as long as the run lasts.

The photos are blocks of a Ray Data set, the stages its actors; the ledger stays with the process that asked. SRC and
OUT must be the same folders on all machines, and frontalize must be installed on each.
"""

import importlib
import logging
import os
import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job
from pipelines.runtime.run import Work
from toolkit.errors import ConfigError
from toolkit.records.ledger import Outcome

COLUMN = "pickled"
RETRIES = 2  # of a block whose actor died: a third death is more likely the block's doing than the machine's
OpenStage = Callable[[], Callable[[Sequence[Any]], Iterable[Any]]]  # once in each actor; then block after block


@dataclass(frozen=True, slots=True)
class Stage:
    """One kind of actor."""

    open_work: OpenStage  # must pickle, and so must what goes in and comes out
    on_gpu: bool = False  # an actor for every GPU, else one for every core


def on_ray(stages: Sequence[Stage], per_block: int, workers: int, stop: Stop, one_by_one: Work) -> Work:
    """For :func:`pipelines.runtime.run.run_bulk`: blocks of jobs through all stages, the last of which gives outcomes.

    Args:
        stages: what each block goes through.
        per_block: jobs in a block.
        workers: cores that a Ray started here may use; a cluster's are all used.
        stop: see :data:`pipelines.runtime.interrupt.Stop`; blocks in hand are then dropped, and done by the next run.
        one_by_one: does the jobs that no block gave an outcome for, since its actor kept dying: it finds the culprit.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at RAY_ADDRESS.
    """
    _import_ray()  # a missing extra is an error before the first photo

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


def _results(jobs: Sequence[Job], stages: Sequence[Stage], per_block: int) -> Iterator[list[Outcome]]:
    import pyarrow as pa
    import ray.data
    from ray.data import ActorPoolStrategy

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # those that keep killing their actors are the caller's
    chunks = [jobs[start : start + per_block] for start in range(0, len(jobs), per_block)]
    blocks: ray.data.Dataset = ray.data.from_arrow([_table(chunk) for chunk in chunks])
    found = ray.cluster_resources()
    for stage in stages:
        actors = int(found.get("GPU" if stage.on_gpu else "CPU", 0))
        blocks = blocks.map_batches(
            _Actor,
            fn_constructor_args=(pickle.dumps(stage.open_work),),
            batch_size=None,  # a block as it is
            batch_format="pyarrow",
            # One block in an actor's hands: those that wait behind a deadly one would die with it, try by try.
            compute=ActorPoolStrategy(size=max(1, min(actors, len(chunks))), max_tasks_in_flight_per_actor=1),
            num_cpus=0 if stage.on_gpu else 1,
            num_gpus=1 if stage.on_gpu else 0,
            max_restarts=-1,
            max_task_retries=RETRIES,  # Ray's own default is to try for ever
        )
    for batch in blocks.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield _items(pa.table(batch))


class _Actor:
    """In a process of Ray's: opens a stage once, then does block after block."""

    def __init__(self, open_work: bytes) -> None:
        self._work = pickle.loads(open_work)()

    def __call__(self, block: Any) -> Any:
        return _table(self._work(_items(block)))


def _table(items: Iterable[Any]) -> Any:
    import pyarrow as pa

    # Not NumPy: its byte strings lose zeros at their ends.
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
        raise ConfigError(f"engine ray: no cluster to be had ({error}); is RAY_ADDRESS right?") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()


def _import_ray() -> None:
    for name in ("ray.data", "pyarrow"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"engine ray: {error.name or error} cannot be loaded; pip install 'frontalize[ray]', or --engine local"
            ) from error
