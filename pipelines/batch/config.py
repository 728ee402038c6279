"""Settings of ``frontalize batch``."""

from dataclasses import dataclass
from pathlib import Path

from pipelines.runtime.config import (
    ImageFormat,
    require_at_least,
    require_between,
    require_choice,
    require_quality,
    require_recipe_file,
)
from toolkit.errors import ConfigError

VIEW_SIZE = 256  # px, side where none is given; models that take crops then give faces of their own size


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontalizeConfig:
    """``frontalize batch``."""

    model: str  # refiner, geometric, or the path of a generator.safetensors
    recipe: Path | None = None  # the user's recipe file that defines the model's network, where that is not built in
    size: int | None = None  # side of the outputs in pixels; with paste_back, of the views; None: see VIEW_SIZE
    margin: float = 0.0  # added on each side of the face's square, as a share of its side
    aligned: bool = False  # the photos are aligned crops already
    paste_back: bool = False  # write whole photos with frontal faces in them
    max_turn: float = 30.0  # degrees from the camera: faces turned further stay as they are
    min_confidence: float = 0.0  # faces of which the network expects a lower cosine to a frontal photo are rejected
    batch_size: int = 32  # faces per pass of the network; changes memory and speed, not results
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    @property
    def view_size(self) -> int:
        """Side of the outputs of models that draw views, pixels."""
        return self.size or VIEW_SIZE

    def __post_init__(self) -> None:
        require_at_least("batch_size", self.batch_size, 1, "try 32")
        if self.size is not None:
            require_between("size", self.size, 16, 1024, "leave it out for the model's own")
        require_between("margin", self.margin, 0, 2, "it is a share of the square's side; try 0.25")
        require_recipe_file(self.recipe)
        if self.recipe is not None and self.model == "geometric":
            raise ConfigError(f"recipe {self.recipe} with model geometric: it has no network; leave --recipe out")
        if self.paste_back and self.aligned:
            raise ConfigError("--aligned with --paste-back: a crop has no photo around it; give the photos themselves")
        if self.paste_back and self.margin:
            raise ConfigError(f"--margin {self.margin:g} with --paste-back: it writes whole photos; leave one out")
        require_between("max_turn", self.max_turn, 0, 45, "it is in degrees; try 30")
        require_between("min_confidence", self.min_confidence, 0, 1, "it is a cosine; try 0.5")
        if self.min_confidence and self.model == "geometric":
            raise ConfigError(
                f"--min-confidence {self.min_confidence:g} with model geometric: it gives no confidence; leave it out, "
                "or use refiner"
            )
        require_choice("format", self.format, ImageFormat)
        require_quality(self.quality)
