"""Messages between a worker process and the process that runs its networks: arrays as bytes, nothing pickled."""

import json
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray


def send_message(connection: Connection, about: dict[str, Any], arrays: Sequence[NDArray[Any]] = ()) -> None:
    """Send plain values and arrays."""
    layout = [(array.dtype.str, array.shape) for array in arrays]
    connection.send_bytes(json.dumps({"about": about, "arrays": layout}).encode())
    for array in arrays:
        connection.send_bytes(array.tobytes())


def receive_message(connection: Connection) -> tuple[dict[str, Any], list[NDArray[Any]]]:
    """Wait for a message; return its values and arrays.

    Raises:
        EOFError: the other process has closed the connection.
        OSError: it died while it sent the message.
    """
    head = json.loads(connection.recv_bytes())
    arrays = [np.empty(shape, dtype) for dtype, shape in head["arrays"]]
    for array in arrays:
        connection.recv_bytes_into(array.reshape(-1))
    return head["about"], arrays
