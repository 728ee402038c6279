"""Worker processes whose networks run on GPUs, in the process that starts them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TypeVar

from pipelines.extras import require_extra
from pipelines.runtime.devices import bulk_devices, is_gpu
from pipelines.runtime.network_service.client import load_with_service
from pipelines.runtime.network_service.server import NetworkService

ModelT = TypeVar("ModelT")


def networks_on(device: str, load: Callable[[], ModelT]) -> AbstractContextManager[Callable[[], ModelT]]:
    """Run the built-in networks of worker processes on a device while a context is open.

    Args:
        device: auto, cpu, cuda or cuda:i.
        load: loads the models of a worker process.

    Returns:
        The context of what a worker process calls instead of ``load``. On the CPU this is ``load`` itself: each worker
        runs its own networks.

    Raises:
        ConfigError: the device is not there, or a package that it needs.
    """
    devices = bulk_devices(device)
    if not is_gpu(devices[0]):
        return nullcontext(load)
    require_extra("train", f"device {devices[0]}", "torch", "onnx", instead="--device cpu")
    return _open_service(devices, load)


def full_precision_on(device: str) -> AbstractContextManager[None]:
    """Let this process compute in float32 on a GPU while a context is open, as bulk runs do; nothing on the CPU."""
    if not is_gpu(device):
        return nullcontext()
    from pipelines.weights.torch_networks import full_precision

    return full_precision()


@contextmanager
def _open_service(devices: Sequence[str], load: Callable[[], ModelT]) -> Iterator[Callable[[], ModelT]]:
    from pipelines.weights.torch_networks import full_precision, open_networks

    with full_precision(), NetworkService([open_networks(device) for device in devices]) as service:
        yield partial(load_with_service, service.address, load)
