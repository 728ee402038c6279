"""Settings of ``frontalize batch``."""

from dataclasses import dataclass

from pipelines.runtime.config import ImageFormat
from toolkit.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontalizeConfig:
    """``frontalize batch``."""

    model: str  # geometric, or the path of a generator.safetensors
    size: int | None = None  # side of the outputs, or of the views that are pasted, pixels; None: what the model makes
    aligned: bool = False  # the photos are crops already
    paste_back: bool = False  # the outputs are whole photos, with frontal faces
    max_turn: float = 30.0  # degrees from the camera: faces turned further are not pasted, but left as they are
    batch_size: int = 32  # faces per pass of the network; memory, not results, depends on it
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100
    device: str = "auto"  # auto, cpu, cuda or cuda:i

    @property
    def keep_exif(self) -> bool:
        """A synthesised face is no photo: it carries no camera's data."""
        return False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size={self.batch_size}: must be 1 or more; try 32")
        if self.size is not None and not 16 <= self.size <= 1024:
            raise ConfigError(f"size={self.size}: must be 16 to 1024 pixels; leave it out for the model's own")
        if self.paste_back and self.aligned:
            raise ConfigError("--aligned with --paste-back: a crop has no photo around it; give the photos themselves")
        if not 0 <= self.max_turn <= 45:
            raise ConfigError(f"max_turn={self.max_turn:g}: must be 0 to 45 degrees; try 30")
