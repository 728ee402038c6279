"""How bulk runs go about their work: settings that several commands share and that change no output.

Each command's own settings are in the ``config.py`` of its stage. Those files import neither torch nor MediaPipe, so
``--help`` answers at once and worker processes stay small.
"""

import os
from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.checks import require_choice, require_workers
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
    """How a bulk run works; nothing here changes an output."""

    workers: int = field(default_factory=all_cores)  # processes
    overwrite: bool = False  # process finished inputs again
    shard: tuple[int, int] = (0, 1)  # (i, n): the i-th of n parts of the photos, for n machines
    engine: Engine = "local"  # processes of this machine, or Ray
    limits: JobLimits = field(default_factory=JobLimits)  # of one photo

    def __post_init__(self) -> None:
        require_workers(self.workers)
        require_choice("engine", self.engine, Engine)
        part, parts = self.shard
        if not 0 <= part < parts <= MAX_SHARDS:
            raise ConfigError(
                f"shard={part}/{parts}: must be i/n, i from 0 to n - 1, n up to {MAX_SHARDS:,}; 0/4 is the first of 4"
            )
