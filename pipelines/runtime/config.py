"""All that the commands can be told, as frozen dataclasses; their defaults are the command line's.

They live apart from the stages that read them because those import torch or MediaPipe:
``--help`` answers at once, and the worker processes of a bulk run stay small.
"""

import os
from dataclasses import dataclass, field
from typing import Literal, get_args

from toolkit.errors import ConfigError

ImageFormat = Literal["jpg", "png", "webp"]
Engine = Literal["local", "ray"]
MOST_SHARDS = 100_000


def all_cores() -> int:
    """Cores that this process may use (in a container fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_cpu(device: str) -> None:
    """The landmark models run on the CPU alone; a GPU that is asked for by name is an error, never a silent CPU run."""
    if device not in ("auto", "cpu"):
        raise ConfigError(f"device={device!r}: the landmark models run on the CPU; use --device cpu or leave it out")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLimits:
    """What one photo may take of a worker process; beyond, it fails and the others go on."""

    seconds: float = 60.0  # generous: 64 megapixels took 7 on a busy core
    memory: int = 1 << 30  # bytes, beyond what the models take: enough for 64 megapixels as PNG, 100 as JPEG

    def __post_init__(self) -> None:
        for name in ("seconds", "memory"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)}: must be more than 0; leave it out for the default")


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkConfig:
    """How a bulk run goes about it; nothing here changes an output."""

    workers: int = field(default_factory=all_cores)  # processes
    overwrite: bool = False  # do finished inputs again
    shard: tuple[int, int] = (0, 1)  # (i, n): the i-th of n parts of the photos, for as many machines
    engine: Engine = "local"  # who runs it: processes of this machine, or Ray
    limits: JobLimits = field(default_factory=JobLimits)  # of one photo

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers={self.workers}: must be 1 or more; leave it out for all cores")
        if self.engine not in get_args(Engine):
            raise ConfigError(f"engine={self.engine!r}: choose one of {', '.join(get_args(Engine))}")
        part, parts = self.shard
        if not 0 <= part < parts <= MOST_SHARDS:
            raise ConfigError(
                f"shard={part}/{parts}: must be i/n, i from 0 to n - 1, n up to {MOST_SHARDS:,}; 0/4 is the first of 4"
            )
