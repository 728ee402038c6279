"""What a face in a photo is, and what it means to find one."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one photo."""

    landmarks: NDArray[np.float64]  # (478, 3): x, y in pixels of the photo, z on the same scale, away from the camera
    score: float | None  # the detector's confidence, 0 to 1; None where the adapter reports none
    found_by: str = "plain"  # the pass that found it

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the 468 points of the skin, pixels of the photo."""
        x, y = self.landmarks[:468, 0], self.landmarks[:468, 1]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    @property
    def width(self) -> float:
        """Width or height of the box, whichever is less, in pixels: what ``min_face`` is compared with."""
        left, top, right, bottom = self.box
        return min(right - left, bottom - top)


class Landmarker(Protocol):
    """Anything that finds faces. One instance serves one thread."""

    def find(self, photo: NDArray[np.uint8]) -> list[Face]:
        """Find the faces of a photo, (H, W, 3) RGB uint8, best score first; an empty list where there is none."""
        ...
