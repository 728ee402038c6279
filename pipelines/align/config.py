"""Settings of ``frontalize align``."""

from dataclasses import dataclass, field
from typing import get_args

from pipelines.runtime.config import ImageFormat
from toolkit.crops.align import AlignConfig
from toolkit.errors import ConfigError
from toolkit.landmarks.finder import FindConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignPhotosConfig:
    """``frontalize align``."""

    crop: AlignConfig = field(default_factory=AlignConfig)
    find: FindConfig = field(default_factory=FindConfig)
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100
    keep_exif: bool = False  # the photo's own EXIF goes into the crops; where and when it was taken is private

    def __post_init__(self) -> None:
        if self.format not in get_args(ImageFormat):
            raise ConfigError(f"format={self.format!r}: choose one of {', '.join(get_args(ImageFormat))}")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"quality={self.quality}: must be 1 to 100; try 95")
