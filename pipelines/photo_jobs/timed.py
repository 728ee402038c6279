"""Photos and landmarkers whose time is measured."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.runtime.stage_timer import lap
from toolkit.faces.face import Face, Landmarker
from toolkit.photos.decode import Photo


class TimedPhoto(Photo):
    """A photo whose decoding is a lap."""

    def __init__(self, data: bytes) -> None:
        with lap("decode"):
            super().__init__(data)

    @property
    def size(self) -> tuple[int, int]:
        """See :class:`toolkit.photos.decode.Photo`."""
        with lap("decode"):
            return super().size

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """See :class:`toolkit.photos.decode.Photo`."""
        with lap("decode"):
            return super().pixels(scale)


@dataclass(frozen=True, slots=True)
class TimedLandmarker:
    """A landmarker whose search is a lap."""

    landmarker: Landmarker

    def find(self, photo: NDArray[np.uint8], every: bool = False) -> list[Face]:
        """See :class:`toolkit.faces.face.Landmarker`."""
        with lap("landmarks"):
            return self.landmarker.find(photo, every)
