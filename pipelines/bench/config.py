"""Settings of ``frontalize bench``."""

from dataclasses import dataclass

from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """``frontalize bench``."""

    photos: int = 32  # so many of SRC, evenly spaced
    rounds: int = 5  # measured, after one that warms up
    device: str = "auto"  # of the networks: auto, cpu, cuda or cuda:i

    def __post_init__(self) -> None:
        for name in ("photos", "rounds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be 1 or more; leave it out for the default")
