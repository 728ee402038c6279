import itertools
import multiprocessing
import operator
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest

from pipelines.runtime.config import JobLimits
from pipelines.runtime.worker_pool import Crash, run_in_workers
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


def _count_threads() -> Callable[[int], int]:
    def work(side: int) -> int:
        matrix = np.ones((side, side))
        assert float((matrix @ matrix)[0, 0]) == side
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208

    return work


def _slow() -> Callable[[int], int]:
    def work(number: int) -> int:
        time.sleep(0.02)
        return number

    return work


def test_every_job_is_done_once() -> None:
    done, crashes = _split(run_in_workers(_square, operator.call, range(50), 2, never))
    assert (done, crashes) == ([n * n for n in range(50)], {})


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads are counted as Linux does")  # noqa: PTH110
def test_workers_multiply_matrices_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # the tests' own
        monkeypatch.delenv(name, raising=False)
    counts = list(run_in_workers(_count_threads, operator.call, [400, 500], 1, never))
    assert counts == [2, 2]  # its own, and the one that watches its parent
    assert "OPENBLAS_NUM_THREADS" not in os.environ


def test_no_jobs_no_work() -> None:
    assert list(run_in_workers(_bad_set_up, operator.call, [], 2, never)) == []


def _sleep_on(bad: int) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number == bad:
            time.sleep(60)
        return number

    return work


def _bomb_on(bad: int) -> Callable[[int], int]:
    def work(number: int) -> int:
        if number == bad:
            return len(bytes(200 << 20))
        return len(bytes(20 << 20)) and number

    return work


def _die_while_opening() -> Callable[[int], int]:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class _Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def _odd() -> Callable[[int], int]:
    def work(number: int) -> int:
        raise _Odd(number, number)

    return work


def _large() -> Callable[[int], bytes]:
    return lambda number: bytes([number]) * (1 << 20)


def _split(results: Iterator[int | Crash[int]]) -> tuple[list[int], dict[int, str]]:
    done, crashes = list[int](), dict[int, str]()
    for result in results:
        if isinstance(result, Crash):
            crashes[result.job] = result.error.reason
        else:
            done.append(result)
    return sorted(done), crashes


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced_and_costs_one_job() -> None:
    started = time.monotonic()
    limits = JobLimits(seconds=2)  # a busy machine stands still for half a second now and then
    done, crashes = _split(run_in_workers(partial(_sleep_on, 7), operator.call, range(40), 2, never, limits=limits))
    assert done == [n for n in range(40) if n != 7]
    assert list(crashes) == [7] and crashes[7].startswith("timeout: not done after 2 s")
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_a_hang_is_found_while_another_worker_is_busy() -> None:
    """The jobs never end, so only the crash does."""
    results = run_in_workers(
        partial(_sleep_on, 0), operator.call, itertools.count(), 2, never, limits=JobLimits(seconds=2)
    )
    [job] = (result.job for result in itertools.islice((r for r in results if isinstance(r, Crash)), 1))
    assert job == 0
    results.close()  # type: ignore[attr-defined]


@pytest.mark.slow
def test_time_that_the_caller_takes_is_not_the_jobs() -> None:
    done = []
    for result in run_in_workers(_square, operator.call, range(20), 2, never, limits=JobLimits(seconds=1)):
        assert not isinstance(result, Crash)
        done.append(result)
        time.sleep(1.2 if len(done) < 4 else 0)
    assert sorted(done) == [n * n for n in range(20)]


def test_a_memory_bomb_costs_one_job() -> None:
    limits = JobLimits(memory=100 << 20)
    done, crashes = _split(run_in_workers(partial(_bomb_on, 7), operator.call, range(1, 40), 2, never, limits=limits))
    assert done == [n for n in range(1, 40) if n != 7]
    assert list(crashes) == [7] and crashes[7].startswith("out-of-memory: wanted more than the 100 MB")


def test_a_death_is_described() -> None:
    _, crashes = _split(run_in_workers(partial(_die_on, 1), operator.call, range(3), 1, never))
    assert crashes[1].startswith("crashed: the process that read this file died (Segmentation fault)")
    _, crashes = _split(run_in_workers(_die_on_tens, operator.call, range(11), 1, never))
    assert "killed, as the system does when memory runs out" in crashes[10]


def test_workers_that_die_while_they_load_are_a_bad_set_up() -> None:
    with pytest.raises(ConfigError, match="died 3 times before they did anything"):
        list(run_in_workers(_die_while_opening, operator.call, range(8), 2, never))


def test_an_error_that_does_not_pickle_reaches_the_caller_as_text() -> None:
    with pytest.raises(RuntimeError, match="1 and 1"):
        list(run_in_workers(_odd, operator.call, [1], 1, never))


def test_large_results_do_not_block_workers() -> None:
    results = list(run_in_workers(_large, operator.call, range(20), 2, never, ahead=20))
    assert sorted(result[0] for result in results if isinstance(result, bytes)) == list(range(20))


@pytest.mark.slow
def test_no_process_is_left_when_the_caller_leaves_early() -> None:
    before = set(multiprocessing.active_children())  # of other tests: loaders', say
    results = run_in_workers(_slow, operator.call, range(1000), 2, never)
    next(results)
    assert len(set(multiprocessing.active_children()) - before) == 2
    results.close()  # type: ignore[attr-defined]
    assert not set(multiprocessing.active_children()) - before


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"memory": -1}])
def test_limits_that_allow_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="must be more than 0"):
        JobLimits(**wrong)  # type: ignore[arg-type]


def test_a_worker_that_dies_costs_one_job() -> None:
    results = list(run_in_workers(partial(_die_on, 7), operator.call, range(40), 2, never))
    crashes = [result.job for result in results if isinstance(result, Crash)]
    assert crashes == [7]
    assert sorted(result for result in results if isinstance(result, int)) == [n for n in range(40) if n != 7]


@pytest.mark.slow
def test_every_killer_is_found_and_no_other_job_is_lost() -> None:
    results = list(run_in_workers(_die_on_tens, operator.call, range(60), 2, never))
    assert sorted(result.job for result in results if isinstance(result, Crash)) == [10, 20, 30, 40, 50]
    assert sorted(result for result in results if isinstance(result, int)) == [n for n in range(60) if n == 0 or n % 10]


def test_a_bad_set_up_reaches_the_caller() -> None:
    with pytest.raises(ConfigError, match="no such model"):
        list(run_in_workers(_bad_set_up, operator.call, range(4), 2, never))


def test_stop_finishes_what_is_in_hand_and_no_more() -> None:
    seen: list[int] = []
    for result in run_in_workers(_slow, operator.call, range(1000), 2, lambda: len(seen) >= 5):
        assert isinstance(result, int)
        seen.append(result)
    assert 5 <= len(seen) < 200
    assert len(set(seen)) == len(seen)


def _own_number() -> Callable[[int], int]:
    return lambda number: os.getpid()


def test_ctrl_c_to_a_worker_that_is_still_starting_ends_nothing() -> None:
    """A terminal sends it to all processes; one that imports its modules has not yet said that it ignores it."""
    started = list[int]()

    def press() -> None:
        while not started:
            for process in multiprocessing.active_children():
                if process.pid is not None:
                    started.append(process.pid)
                    for _ in range(50):
                        os.kill(process.pid, signal.SIGINT)
                        time.sleep(0.002)

    thread = threading.Thread(target=press)
    thread.start()
    done = set(run_in_workers(_own_number, operator.call, range(4), 1, never))
    thread.join()
    assert done == set(started)  # and no successor of a worker that died
