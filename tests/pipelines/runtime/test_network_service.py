"""Networks of other processes, run in this one: who gets which answer, what shares a batch, and what goes wrong."""

import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipelines.runtime.network_service.client import RemoteNetwork, load_with_service
from pipelines.runtime.network_service.messages import send_message
from pipelines.runtime.network_service.server import NetworkService
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import ConfigError
from toolkit.networks.runtime import Arrays, built_in

Array = NDArray[np.float32]


class Doubling:
    """Doubles images, at most ``most`` at once. A cleared gate stops it, after it was entered."""

    def __init__(self, most: int = 1000) -> None:
        self.most, self.sizes = most, list[int]()
        self.gate, self.entered = threading.Event(), threading.Event()
        self.gate.set()

    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        [images] = inputs
        self.sizes.append(len(images))
        self.entered.set()
        assert self.gate.wait(20)
        if len(images) > self.most:
            raise MemoryError("no")
        if np.any(images < 0):
            raise ValueError("a negative image")
        return [2 * images, images.sum(axis=tuple(range(1, images.ndim)))]


@contextmanager
def connected(service: NetworkService, name: str = "double") -> Iterator[RemoteNetwork]:
    with Client(service.address, "AF_UNIX", authkey=bytes(multiprocessing.current_process().authkey)) as connection:
        yield RemoteNetwork(connection, threading.Lock(), name)


def images(*values: float, side: int = 3) -> Array:
    return np.array(values, np.float32)[:, None, None] * np.ones((side, side), np.float32)


def ask(service: NetworkService, sent: Array, name: str = "double") -> Arrays:
    with connected(service, name) as network:
        return network(sent)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_every_client_gets_the_answers_to_its_own_requests_in_order() -> None:
    def talk(number: int) -> bool:
        with connected(service) as network:
            for turn in range(30):
                doubled, sums = network(sent := images(*range(number, number + 1 + turn % 3)))
                np.testing.assert_array_equal(doubled, 2 * sent)
                np.testing.assert_array_equal(sums, sent.sum(axis=(1, 2)))
                doubled[:] = 0  # an answer may be written to, as ONNX Runtime's
        return True

    with NetworkService([{"double": Doubling()}, {"double": Doubling()}]) as service, ThreadPoolExecutor(5) as threads:
        assert all(threads.map(talk, range(5)))


def test_what_waits_for_one_network_is_its_next_batch() -> None:
    double, other = Doubling(), Doubling()
    double.gate.clear()
    with NetworkService([{"double": double, "other": other}]) as service, ThreadPoolExecutor(6) as threads:
        first = threads.submit(ask, service, images(1))
        assert double.entered.wait(20)
        rest = [threads.submit(ask, service, images(*range(count))) for count in (2, 3)]
        rest += [threads.submit(ask, service, images(5), "other"), threads.submit(ask, service, images(6, side=4))]
        rest += [threads.submit(ask, service, images(*range(60)))]
        until(lambda: len(service._queue._waiting) == 5)
        double.gate.set()
        assert [len(answer.result()[0]) for answer in (first, *rest)] == [1, 2, 3, 1, 1, 60]
    assert double.sizes[0] == 1
    assert sorted(double.sizes[1:]) in ([1, 5, 60], [1, 2, 63], [1, 3, 62])  # 64 at most; another side is another batch
    assert other.sizes == [1]


def test_a_device_short_of_memory_gets_smaller_batches() -> None:
    double = Doubling(most=20)
    with NetworkService([{"double": double}]) as service:
        np.testing.assert_array_equal(ask(service, images(*range(70)))[0], 2 * images(*range(70)))
        assert double.sizes == [64, 32, 16, 16, 16, 16, 6]
        ask(service, images(*range(40)))
        assert double.sizes[7:] == [16, 16, 8]  # what did not fit once is not tried again
        double.most = 0
        with pytest.raises(ConfigError, match=r"no memory for one image \(no\).*--device cpu"):
            ask(service, images(1))


def test_an_error_is_raised_where_the_network_was_asked_and_ends_nothing() -> None:
    with NetworkService([{"double": Doubling()}]) as service, connected(service) as network:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="ValueError: a negative image"):
                network(images(-1))
            np.testing.assert_array_equal(network(images(1))[0], images(2))
        with pytest.raises(RuntimeError, match="KeyError: 'unknown'"):
            ask(service, images(1), "unknown")


def test_a_client_that_dies_in_the_middle_disturbs_nobody() -> None:
    double = Doubling()
    key = bytes(multiprocessing.current_process().authkey)
    with NetworkService([{"double": double}]) as service:
        with Client(service.address, "AF_UNIX", authkey=key) as half:  # of a message
            half.send_bytes(b'{"about": {"network": "double"}, "arrays": [["<f4", [1, 3, 3]]]}')
        double.gate.clear()
        with Client(service.address, "AF_UNIX", authkey=key) as gone:  # before the answer
            send_message(gone, {"network": "double"}, [images(1)])
            assert double.entered.wait(20)
        double.gate.set()
        np.testing.assert_array_equal(ask(service, images(4))[0], images(8))
    assert double.sizes == [1, 1]


def test_nothing_is_left_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread, no file, and nobody who waits for an answer, even with a client that stays."""
    long = tmp_path / ("long" * 20) / ("name" * 20)  # longer than the address of a socket may be
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    before, double = threading.active_count(), Doubling()
    double.gate.clear()
    with ThreadPoolExecutor(2) as threads, ExitStack() as stays:
        with NetworkService([{"double": double}]) as service:
            idle = stays.enter_context(connected(service))
            running = threads.submit(ask, service, images(1))
            assert double.entered.wait(20)
            waiting = threads.submit(ask, service, images(2))
            until(lambda: len(service._queue._waiting) == 1)
            threading.Timer(0.2, double.gate.set).start()
        np.testing.assert_array_equal(running.result()[0], images(2))
        with pytest.raises(RuntimeError, match="the run has ended"):
            waiting.result()
        with pytest.raises((OSError, EOFError)):
            idle(images(3))
    until(lambda: threading.active_count() == before)
    assert not Path(service.address).exists() and not Path(service.address).parent.exists()
    assert list(long.iterdir()) == []
    with pytest.raises(OSError, match="No such file"):
        ask(service, images(1))


def _load() -> Callable[[int], float]:
    double = built_in("double")

    def work(number: int) -> float:
        if number == 7:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGKILL)).start()
            return float(built_in("slow")(images(number))[0][0, 0, 0])
        return float(double(images(number))[0][0, 0, 0])

    return work


def _call(work: Callable[[int], float], number: int) -> float:
    return work(number)


def test_worker_processes_use_the_service_and_one_that_is_killed_fails_alone() -> None:
    double, slow = Doubling(), Doubling()
    slow.gate.clear()
    with NetworkService([{"double": double, "slow": slow}, {"double": double, "slow": slow}]) as service:
        load = partial(load_with_service, service.address, _load)
        results = list(run_in_workers(load, _call, range(24), 2, lambda: False))
        slow.gate.set()
    crashed = [result.job for result in results if isinstance(result, Crash)]
    done = [result for result in results if not isinstance(result, Crash)]
    assert crashed == [7] and sorted(done) == [2.0 * number for number in range(24) if number != 7]
    assert sum(double.sizes) == 23 and slow.sizes == [1]
