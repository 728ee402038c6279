"""The devices that a command runs on, named as torch names them: ``cpu``, ``cuda:0``.

A missing GPU that was asked for is an error, never a silent CPU run. torch is imported only where there may be a GPU.
"""

import ctypes
import sys
from pathlib import Path

from pipelines.extras import is_installed, require_extra
from toolkit.errors import ConfigError

AMD_GPUS = Path("/dev/kfd")  # there if the kernel drives one


def choose_device(name: str) -> str:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:i`` into a device; ``auto`` takes the first GPU where there is one.

    Raises:
        ConfigError: another name, a GPU that is not there, or one without torch.
    """
    if name == "cpu" or (name == "auto" and not _may_have_gpu()):
        return "cpu"
    kind, _, number = name.partition(":")
    if name != "auto":
        if kind != "cuda" or not (number == "" or number.isdecimal()):
            raise ConfigError(f"device={name!r}: choose auto, cpu, cuda or cuda:i")
        require_extra("train", f"device={name!r}", "torch", instead="--device cpu")
    import torch

    if name == "auto":
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    found = torch.cuda.device_count()
    if int(number or 0) >= found:
        raise ConfigError(
            f"device={name!r}: torch {torch.__version__} sees {found} GPUs; use --device cpu or fix the driver"
        )
    return f"cuda:{int(number or 0)}"


def bulk_devices(name: str) -> list[str]:
    """The same for runs that use every GPU of the machine: all of them for ``auto`` and ``cuda``, one for ``cuda:i``.

    Raises:
        ConfigError: as :func:`choose_device` does.
    """
    first = choose_device(name)
    if first == "cpu" or ":" in name:
        return [first]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())]


def is_gpu(device: str) -> bool:
    """Return whether a device is a GPU."""
    return device != "cpu"


def _may_have_gpu() -> bool:
    """Whether torch could see a GPU. Asking torch takes two seconds, so the driver is looked for first."""
    if not is_installed("torch"):
        return False
    if sys.platform != "linux" or AMD_GPUS.exists():
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True
