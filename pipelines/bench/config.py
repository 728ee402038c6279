"""Settings of ``frontalize bench``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.runtime.config import require_at_least, require_choice, require_device_name
from toolkit.errors import ConfigError

Yardstick = Literal["plain"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """``frontalize bench``."""

    photos: int = 32  # number of photos of SRC, evenly spaced
    rounds: int = 5  # measured rounds, after one to warm up
    device: str = "auto"  # auto, cpu, cuda or cuda:i, for the networks
    against: Yardstick | None = None  # compare with the plain loop instead of measuring the stages
    landmarker: Path | None = None  # a face_landmarker.task for the plain loop; None: the built-in networks

    def __post_init__(self) -> None:
        for name in ("photos", "rounds"):
            require_at_least(name, getattr(self, name), 1, "leave it out for the default")
        require_device_name(self.device)
        if self.against is not None:
            require_choice("against", self.against, Yardstick)
        elif self.landmarker is not None:
            raise ConfigError(f"landmarker {self.landmarker}: is for the plain loop; add --against plain")
