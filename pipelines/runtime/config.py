"""Settings that several commands share, and the checks of all settings.

Each command's own settings are in the ``config.py`` of its stage. Those files import neither torch nor ONNX Runtime, so
``--help`` answers at once and worker processes stay small.
"""

import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from toolkit.errors import ConfigError

ImageFormat = Literal["jpg", "png", "webp"]
Engine = Literal["local", "ray"]
MAX_SHARDS = 100_000


def all_cores() -> int:
    """Number of cores that this process may use (in a container fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLimits:
    """What one photo may take of a worker process; beyond, it fails and the others go on."""

    seconds: float = 60.0  # generous: 64 megapixels took 7 on a busy core
    memory: int = 1 << 30  # bytes on top of the models: enough for 64 megapixels as PNG, 100 as JPEG

    def __post_init__(self) -> None:
        for name in ("seconds", "memory"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)}: must be more than 0; leave it out for the default")


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkConfig:
    """How a bulk run works; nothing here changes an output, but for rounding on a GPU."""

    workers: int = field(default_factory=all_cores)  # processes
    overwrite: bool = False  # process finished inputs again
    shard: tuple[int, int] = (0, 1)  # (i, n): the i-th of n parts of the photos, for n machines
    engine: Engine = "local"  # processes of this machine, or Ray
    device: str = "auto"  # of the networks: auto, cpu, cuda or cuda:i
    limits: JobLimits = field(default_factory=JobLimits)  # of one photo

    def __post_init__(self) -> None:
        require_workers(self.workers)
        require_choice("engine", self.engine, Engine)
        require_device_name(self.device)
        part, parts = self.shard
        if not 0 <= part < parts <= MAX_SHARDS:
            raise ConfigError(
                f"shard={part}/{parts}: must be i/n, i from 0 to n - 1, n up to {MAX_SHARDS:,}; 0/4 is the first of 4"
            )


def require_between(name: str, value: float, low: float, high: float, way_out: str) -> None:
    """Require ``low <= value <= high``.

    Raises:
        ConfigError: it is outside, or not a number.
    """
    if not low <= value <= high:
        raise ConfigError(f"{name}={_plain(value)}: must be {_plain(low)} to {_plain(high)}; {way_out}")


def require_at_least(name: str, value: float, low: float, way_out: str) -> None:
    """Require ``low <= value``, and a finite value.

    Raises:
        ConfigError: it is below, infinite, or not a number.
    """
    if not low <= value < math.inf:
        raise ConfigError(f"{name}={_plain(value)}: must be {_plain(low)} or more; {way_out}")


def require_choice(name: str, value: Any, choices: Any) -> None:
    """Require one of the values of a Literal.

    Raises:
        ConfigError: it is another one.
    """
    if value not in get_args(choices):
        raise ConfigError(f"{name}={value!r}: choose one of {', '.join(map(str, get_args(choices)))}")


def require_quality(quality: int) -> None:
    """Require a quality of JPEG and WebP."""
    require_between("quality", quality, 1, 100, "try 95")


def require_workers(workers: int) -> None:
    """Require a number of processes."""
    require_at_least("workers", workers, 1, "leave it out for all cores")


def require_recognizer(path: Path | None) -> None:
    """Require the file of a face recognizer, if one is given."""
    if path is not None and not path.is_file():
        raise ConfigError(f"recognizer {path}: no such file; give an ONNX face recognizer")


def require_recipe_file(path: Path | None) -> None:
    """Require a user's recipe file, if one is given."""
    if path is not None and not path.is_file():
        raise ConfigError(f"recipe {path}: no such file; give the .py file that the model was trained with")


def require_device_name(device: str) -> None:
    """Require a device's name; whether the device exists is known only to torch."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise ConfigError(f"device={device!r}: choose auto, cpu, cuda or cuda:i")


def _plain(value: float) -> str:
    return f"{value:,.10g}" if isinstance(value, int | float) and abs(value) >= 10_000 else f"{value:g}"
