import os
import signal
import time
from collections.abc import Callable
from functools import partial

import pytest

from pipelines.workers import Crash, run_in_workers
from toolkit.errors import ConfigError


def never() -> bool:
    return False


def _square() -> Callable[[int], int]:
    return lambda number: number * number


def _die_on(bad: int) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number == bad:
            os.kill(os.getpid(), signal.SIGSEGV)
        return number

    return work


def _die_on_tens() -> Callable[[int], int]:
    def work(number: int) -> int:
        if number and number % 10 == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    return work


def _bad_set_up() -> Callable[[int], int]:
    raise ConfigError("no such model")


def _slow() -> Callable[[int], int]:
    def work(number: int) -> int:
        time.sleep(0.02)
        return number

    return work


def test_every_job_is_done_once() -> None:
    assert sorted(run_in_workers(_square, range(50), 2, never)) == [n * n for n in range(50)]


def test_no_jobs_no_work() -> None:
    assert list(run_in_workers(_bad_set_up, [], 2, never)) == []


def test_a_worker_that_dies_costs_one_job() -> None:
    results = list(run_in_workers(partial(_die_on, 7), range(40), 2, never))
    crashes = [result.job for result in results if isinstance(result, Crash)]
    assert crashes == [7]
    assert sorted(result for result in results if isinstance(result, int)) == [n for n in range(40) if n != 7]


def test_every_killer_is_found_and_no_other_job_is_lost() -> None:
    results = list(run_in_workers(_die_on_tens, range(60), 2, never))
    assert sorted(result.job for result in results if isinstance(result, Crash)) == [10, 20, 30, 40, 50]
    assert sorted(result for result in results if isinstance(result, int)) == [n for n in range(60) if n == 0 or n % 10]


def test_a_bad_set_up_reaches_the_caller() -> None:
    with pytest.raises(ConfigError, match="no such model"):
        list(run_in_workers(_bad_set_up, range(4), 2, never))


def test_stop_finishes_what_is_in_hand_and_no_more() -> None:
    seen: list[int] = []
    for result in run_in_workers(_slow, range(1000), 2, lambda: len(seen) >= 5):
        assert isinstance(result, int)
        seen.append(result)
    assert 5 <= len(seen) < 200
    assert len(set(seen)) == len(seen)
