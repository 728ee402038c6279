"""TensorBoard's file of a training run."""

import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines.train.run_folder import Metrics


@contextmanager
def _files_up_to(size: int) -> Iterator[None]:
    """No file may get more bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_tensorboard_reads_the_values_and_drops_those_of_lost_steps(tmp_path: Path) -> None:
    first = Metrics(tmp_path, 0)
    for step in range(1, 5):
        first.add(step, {"l1": step / 2, "adversarial": 1.0})
    resumed = Metrics(tmp_path, 2)
    resumed.add(3, {"l1": 8.0})
    read = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in read.Scalars("l1")] == [(1, 0.5), (2, 1.0), (3, 8.0)]
    assert [event.step for event in read.Scalars("adversarial")] == [1, 2]


def test_what_cannot_be_written_is_an_error_of_the_call_and_not_of_a_thread(tmp_path: Path) -> None:
    threads = threading.enumerate()
    with _files_up_to(10), pytest.raises(OSError, match="too large"):
        Metrics(tmp_path / "full at the start", 0)
    metrics = Metrics(tmp_path, 0)
    [events] = tmp_path.glob("events.out.tfevents.*")
    with _files_up_to(events.stat().st_size), pytest.raises(OSError, match="too large"):
        metrics.add(1, {"l1": 0.5})
    assert threading.enumerate() == threads
    metrics.add(2, {"l1": 0.25})


def test_a_file_that_is_gone_begins_anew(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "run", 0)
    metrics.add(1, {"l1": 0.5})
    (tmp_path / "run").rename(tmp_path / "moved")
    metrics.add(2, {"l1": 0.25})
    read = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [(event.step, event.value) for event in read.Scalars("l1")] == [(2, 0.25)]
