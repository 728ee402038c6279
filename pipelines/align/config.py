"""Settings of ``frontalize align``."""

from dataclasses import dataclass, field

from pipelines.runtime.config import ImageFormat, require_choice, require_quality
from toolkit.crops.align import AlignConfig
from toolkit.landmarks.config import FindConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignPhotosConfig:
    """``frontalize align``."""

    crop: AlignConfig = field(default_factory=AlignConfig)
    find: FindConfig = field(default_factory=FindConfig)
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100
    keep_exif: bool = False  # copy the photo's EXIF into the crops; it holds private data: where and when

    def __post_init__(self) -> None:
        require_choice("format", self.format, ImageFormat)
        require_quality(self.quality)
