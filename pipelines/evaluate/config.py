"""Settings of ``frontalize evaluate``."""

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.runtime.config import all_cores
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """``frontalize evaluate``."""

    models: tuple[str, ...] = ("raw", "geometric", "refiner")  # raw: the input as it is; or as `batch` names them
    recognizer: Path | None = None  # an ONNX face recogniser: how much of the person is left, too
    by: str | None = None  # a column of labels.csv: the same numbers for each of its values, too
    size: int | None = None  # side at which images are compared, pixels; None: the first target's
    batch_size: int = 32  # faces per pass of a network; memory, not results, depends on it
    device: str = "auto"  # auto, cpu, cuda or cuda:i: of the generators and the comparison
    workers: int = field(default_factory=all_cores)  # processes that look at faces

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no model: name one or more, as in --model raw --model geometric")
        if len(set(self.models)) < len(self.models):
            raise ConfigError(f"models {', '.join(self.models)}: one is named twice; name each once")
        if self.recognizer is not None and not self.recognizer.is_file():
            raise ConfigError(f"recognizer {self.recognizer}: no such file; give an ONNX face recogniser")
        if self.size is not None and not 16 <= self.size <= 1024:
            raise ConfigError(f"size={self.size}: must be 16 to 1024 pixels; leave it out for the targets' own")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size={self.batch_size}: must be 1 or more; try 32")
        if self.workers < 1:
            raise ConfigError(f"workers={self.workers}: must be 1 or more; leave it out for all cores")
