"""Photos and landmarkers that record their time as stages."""

from dataclasses import dataclass

from pipelines.runtime.stage_timer import stage
from toolkit.faces.face import Face
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo
from toolkit.photos.types import Image


class TimedPhoto(Photo):
    """A photo that records the stage ``decode``."""

    def __init__(self, data: bytes) -> None:
        with stage("decode"):
            super().__init__(data)

    @property
    def size(self) -> tuple[int, int]:
        """See :class:`toolkit.photos.decode.Photo`."""
        with stage("decode"):
            return super().size

    def pixels(self, scale: float = 1.0) -> tuple[Image, float]:
        """See :class:`toolkit.photos.decode.Photo`."""
        with stage("decode"):
            return super().pixels(scale)


@dataclass(frozen=True, slots=True)
class TimedLandmarker:
    """A landmarker that records the stage ``landmarks``."""

    landmarker: Landmarker

    def find(self, photo: Image, every: bool = False) -> list[Face]:
        """See :class:`toolkit.landmarks.protocols.Landmarker`."""
        with stage("landmarks"):
            return self.landmarker.find(photo, every)
