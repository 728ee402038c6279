"""Networks of worker processes, run in the process that started them, in batches.

While a device computes, requests of many workers gather; what waits then for the same network is its next batch. So
batches grow with the load, and nobody waits for a batch to fill.
"""

import os
import select
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import AuthenticationError, Pipe, current_process
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.runtime.network_service.messages import receive_message, send_message
from toolkit.errors import ConfigError
from toolkit.networks.runtime import Arrays, Network

MAX_BATCH = 64  # images
MAX_WAITING_CONNECTIONS = 128  # not accepted yet: all workers start at once
MAX_ADDRESS = 100  # bytes: systems allow 103 to 107
STOP_TIMEOUT = 10.0  # seconds for a pass in progress


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    network: str
    inputs: list[NDArray[Any]]
    outputs: Future[Arrays] = field(default_factory=Future)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for requests that may share a batch."""
        return self.network, *((array.dtype, array.shape[1:]) for array in self.inputs)


class _Queue:
    """The requests that wait for a device."""

    def __init__(self) -> None:
        self._waiting: deque[_Request] = deque()
        self._changed, self._closed = threading.Condition(), False

    def put(self, request: _Request) -> None:
        with self._changed:
            if self._closed:
                raise EOFError
            self._waiting.append(request)
            self._changed.notify()

    def take(self, most: int) -> list[_Request]:
        """Wait for the next request; return it with others for the same network, at most ``most`` images if several.

        Empty once the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if self._closed:
                return []
            taken = [self._waiting.popleft()]
            images = len(taken[0].inputs[0])
            for request in list(self._waiting):
                if request.kind == taken[0].kind and images + len(request.inputs[0]) <= most:
                    self._waiting.remove(request)
                    taken.append(request)
                    images += len(request.inputs[0])
            return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            for request in self._waiting:
                request.outputs.set_exception(RuntimeError("the run has ended"))
            self._waiting.clear()
            self._changed.notify_all()


class NetworkService:
    """Runs networks for other processes of this machine while its context is open.

    A process that was started by this one connects with
    :func:`pipelines.runtime.network_service.client.load_with_service`. If a device has no memory for a batch, its
    batches are halved, from then on.

    Args:
        devices: for each device its networks by name. A network raises MemoryError if a batch is too large for it.

    Attributes:
        address: for the other processes.
    """

    def __init__(self, devices: Sequence[Mapping[str, Network]]) -> None:
        self._devices, self._queue = devices, _Queue()

    def __enter__(self) -> "NetworkService":
        self._folder = tempfile.TemporaryDirectory(prefix="frontalize-")
        if len(os.fsencode(self._folder.name)) > MAX_ADDRESS - len("/service"):
            self._folder.cleanup()
            self._folder = tempfile.TemporaryDirectory(prefix="frontalize-", dir="/tmp")
        self.address = str(Path(self._folder.name) / "service")
        self._key = bytes(current_process().authkey)
        self._listener = Listener(self.address, "AF_UNIX", MAX_WAITING_CONNECTIONS, self._key)
        self._stopping, self._go_on = Pipe(duplex=False)  # closed: threads return
        self._threads: list[threading.Thread] = []
        self._start(self._accept)
        for networks in self._devices:
            self._start(self._run, networks)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._go_on.close()
        self._queue.close()
        with suppress(OSError, EOFError, AuthenticationError):
            Client(self.address, "AF_UNIX", authkey=self._key).close()  # ends the wait for the next one
        for thread in self._threads:
            thread.join(STOP_TIMEOUT)
        self._stopping.close()
        self._folder.cleanup()

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with self._listener:  # closed here: whoever still waits to be accepted is refused
            while not self._go_on.closed:
                with suppress(OSError, EOFError, AuthenticationError):  # it died before it was accepted
                    self._start(self._serve, self._listener.accept())

    def _serve(self, connection: Connection) -> None:
        """Answer the requests of one process until it ends."""
        events = select.poll()
        for source in (connection, self._stopping):
            events.register(source.fileno(), select.POLLIN | select.POLLHUP)
        with connection, suppress(OSError, EOFError):
            while self._stopping.fileno() not in dict(events.poll()):
                about, inputs = receive_message(connection)
                request = _Request(about["network"], inputs)
                self._queue.put(request)
                if (error := request.outputs.exception()) is None:
                    send_message(connection, {}, request.outputs.result())
                else:
                    text = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
                    send_message(connection, {"error": text, "setup": isinstance(error, ConfigError)})

    def _run(self, networks: Mapping[str, Network]) -> None:
        """Run the networks of one device."""
        most = MAX_BATCH
        while requests := self._queue.take(most):
            try:
                inputs = [np.concatenate(parts) for parts in zip(*(each.inputs for each in requests), strict=True)]
                outputs, most = _run_parts(networks[requests[0].network], inputs, most)
            except Exception as error:  # noqa: BLE001  raised in the processes that asked
                for request in requests:
                    request.outputs.set_exception(error)
                continue
            start = 0
            for request in requests:
                end = start + len(request.inputs[0])
                request.outputs.set_result([output[start:end] for output in outputs])
                start = end


def _run_parts(network: Network, inputs: Sequence[NDArray[Any]], most: int) -> tuple[Arrays, int]:
    """Run a batch in parts of at most ``most`` images, or fewer where the device has no memory for so many.

    Returns:
        The outputs, and the number of images that there is memory for.

    Raises:
        ConfigError: there is none for one image.
    """
    while True:
        try:
            starts = range(0, len(inputs[0]), most)
            parts = [network(*(array[start : start + most] for array in inputs)) for start in starts]
            return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)], most
        except MemoryError as error:
            if most == 1:
                detail = "stop other programs on it, or use --device cpu"
                raise ConfigError(f"the GPU has no memory for one image ({error}); {detail}") from error
        most = -(-most // 2)
