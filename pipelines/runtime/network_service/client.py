"""In a worker process: networks that run in the process that started it."""

import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import current_process
from multiprocessing.connection import Client, Connection
from typing import Any, TypeVar

from numpy.typing import NDArray

from pipelines.runtime.network_service.messages import receive_message, send_message
from pipelines.runtime.stage_timer import stage
from toolkit.errors import ConfigError
from toolkit.networks.runtime import Arrays, run_elsewhere

ModelT = TypeVar("ModelT")


class RemoteNetwork:
    """A network of a :class:`pipelines.runtime.network_service.server.NetworkService`.

    Args:
        connection: to the service; other networks may share it.
        turn: held by whoever waits for an answer on that connection.
        name: of the network.

    Raises:
        ConfigError: from a call, if the device has no memory for one image.
        RuntimeError: from a call, if the network failed there for another reason.
    """

    def __init__(self, connection: Connection, turn: threading.Lock, name: str) -> None:
        self._connection, self._turn, self._name = connection, turn, name

    def __call__(self, *inputs: NDArray[Any]) -> Arrays:
        """See :class:`toolkit.networks.runtime.Network`."""
        with stage("networks"), self._turn:
            send_message(self._connection, {"network": self._name}, inputs)
            about, outputs = receive_message(self._connection)
        if "error" in about:
            raise (ConfigError if about["setup"] else RuntimeError)(about["error"])
        return outputs


def load_with_service(address: str, load: Callable[[], ModelT]) -> ModelT:
    """Load models in a process that runs its built-in networks on a service.

    Args:
        address: of the service.
        load: loads the models.
    """
    connection = Client(address, "AF_UNIX", authkey=bytes(current_process().authkey))
    run_elsewhere(partial(RemoteNetwork, connection, threading.Lock()))
    return load()
