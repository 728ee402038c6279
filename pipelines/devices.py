"""Which device a command runs on; a GPU that is asked for and missing is an error, never a silent CPU run."""

import torch

from toolkit.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:i`` into a device; ``auto`` takes the first GPU where there is one.

    Raises:
        ConfigError: another name, or a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number == "" or number.isdecimal()):
        raise ConfigError(f"device={name!r}: choose auto, cpu, cuda or cuda:i")
    found = torch.cuda.device_count()
    if int(number or 0) >= found:
        raise ConfigError(
            f"device={name!r}: torch {torch.__version__} sees {found} GPUs; use --device cpu or fix the driver"
        )
    return torch.device("cuda", int(number or 0))
