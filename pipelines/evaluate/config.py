"""Settings of ``frontalize evaluate``."""

from dataclasses import dataclass, field
from pathlib import Path

from pipelines.runtime.config import (
    all_cores,
    require_at_least,
    require_between,
    require_device_name,
    require_recipe_file,
    require_recognizer,
    require_workers,
)
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """``frontalize evaluate``."""

    models: tuple[str, ...] = ("raw", "geometric", "refiner")  # raw (the input as it is), or a model of `batch`
    recipe: Path | None = None  # a user's recipe file that defines the networks of models, where they are not built in
    recognizer: Path | None = None  # an ONNX face recognizer, to measure identity
    by: str | None = None  # a column of labels.csv, to report each of its values apart
    size: int | None = None  # side at which images are compared, pixels; None: the first target's
    batch_size: int = 32  # faces per pass of a network; changes memory and speed, not results
    device: str = "auto"  # auto, cpu, cuda or cuda:i, for the generators and the comparison
    workers: int = field(default_factory=all_cores)  # processes that read files and find faces

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no model: name one or more, as in --model raw --model geometric")
        if len(set(self.models)) < len(self.models):
            raise ConfigError(f"models {', '.join(self.models)}: one is named twice; name each once")
        require_recognizer(self.recognizer)
        require_recipe_file(self.recipe)
        if self.size is not None:
            require_between("size", self.size, 16, 1024, "leave it out for the targets' own")
        require_at_least("batch_size", self.batch_size, 1, "try 32")
        require_workers(self.workers)
        require_device_name(self.device)
