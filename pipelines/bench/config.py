"""Settings of ``frontalize bench``."""

from dataclasses import dataclass

from pipelines.runtime.config import require_at_least, require_device_name


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """``frontalize bench``."""

    photos: int = 32  # number of photos of SRC, evenly spaced
    rounds: int = 5  # measured rounds, after one to warm up
    device: str = "auto"  # auto, cpu, cuda or cuda:i, for the networks

    def __post_init__(self) -> None:
        for name in ("photos", "rounds"):
            require_at_least(name, getattr(self, name), 1, "leave it out for the default")
        require_device_name(self.device)
