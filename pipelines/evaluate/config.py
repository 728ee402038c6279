"""Settings of ``frontalize evaluate``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipelines.runtime.config import (
    all_cores,
    require_at_least,
    require_between,
    require_choice,
    require_device_name,
    require_recipe_file,
    require_recognizer,
    require_workers,
)
from toolkit.errors import ConfigError

IdentityAgainst = Literal["target", "other"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """``frontalize evaluate``."""

    models: tuple[str, ...] = ("raw", "geometric", "refiner")  # raw (the input as it is), or a model of `batch`
    recipe: Path | None = None  # a user's recipe file that defines the networks of models, where they are not built in
    photos: Path | None = None  # folder of the photos from which the set was made; views are made from the whole photos
    recognizer: Path | None = None  # an ONNX face recognizer, to measure identity
    identity_against: IdentityAgainst = "target"  # the pair's own target, or all others of the same person
    landmarks: bool = False  # measure how far landmarks are from those of the target
    by: tuple[str, ...] = ()  # columns of labels.csv, to report each of their values apart
    size: int | None = None  # side at which images are compared, pixels; None: the first target's
    batch_size: int = 32  # faces per pass of a network; changes memory and speed, not results
    device: str = "auto"  # auto, cpu, cuda or cuda:i, for the generators and the comparison
    workers: int = field(default_factory=all_cores)  # processes that read files and find faces

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no model: name one or more, as in --model raw --model geometric")
        if len(set(self.models)) < len(self.models):
            raise ConfigError(f"models {', '.join(self.models)}: one is named twice; name each once")
        if len(set(self.by)) < len(self.by):
            raise ConfigError(f"by {', '.join(self.by)}: one is named twice; name each once")
        require_recognizer(self.recognizer)
        require_choice("identity_against", self.identity_against, IdentityAgainst)
        if self.identity_against == "other" and self.recognizer is None:
            raise ConfigError("identity_against=other: needs a recognizer; add --recognizer FILE.onnx")
        require_recipe_file(self.recipe)
        if self.photos is not None and not self.photos.is_dir():
            raise ConfigError(f"photos {self.photos}: no such folder; give the one from which the set was made")
        if self.size is not None:
            require_between("size", self.size, 16, 1024, "leave it out for the targets' own")
        require_at_least("batch_size", self.batch_size, 1, "try 32")
        require_workers(self.workers)
        require_device_name(self.device)
