"""What a face in a photo is, and what it means to find one."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.mesh_topology import MIRROR


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one photo."""

    landmarks: NDArray[np.float64]  # (478, 3): x, y in pixels of the photo, z on the same scale, away from the camera
    score: float | None  # the detector's confidence, 0 to 1; None where the adapter reports none
    presence: float | None = None  # the mesh network's belief that a face is there, 0 to 1; None likewise
    found_by: str = "plain"  # the pass that found it

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of the 468 points of the skin, pixels of the photo."""
        x, y = self.landmarks[:468, 0], self.landmarks[:468, 1]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    @property
    def size(self) -> float:
        """The larger side of the box, pixels, for ``min_face``: turned heads are narrow, not small."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


class Landmarker(Protocol):
    """Anything that finds faces. One instance serves one thread."""

    def find(self, photo: NDArray[np.uint8], every: bool = False) -> list[Face]:
        """Find the faces of a photo, (H, W, 3) RGB uint8, best score first; an empty list where there is none.

        Without ``every``, it may stop at the first look that finds any; with it, small faces beside
        a large one are searched for too.
        """
        ...


def overlap(a: Face, b: Face) -> float:
    """Intersection over union of two faces' boxes, 0 to 1."""
    a_left, a_top, a_right, a_bottom = a.box
    b_left, b_top, b_right, b_bottom = b.box
    across = min(a_right, b_right) - max(a_left, b_left)
    down = min(a_bottom, b_bottom) - max(a_top, b_top)
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / ((a_right - a_left) * (a_bottom - a_top) + (b_right - b_left) * (b_bottom - b_top) - both)


def mirrored(landmarks: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """(478, 3) landmarks as they lie in the mirror image of a photo so wide, pixels; left and right change names."""
    return np.asarray(landmarks[MIRROR] * [-1, 1, 1] + [width - 1, 0, 0])


def resized(face: Face, scale: float, shift: NDArray[np.float64] | float = 0.0) -> Face:
    """A face as it lies in its photo at another scale, after ``shift`` (x, y) pixels of the photo were cut away.

    Pixels count from their centres, so half a pixel moves along.
    """
    if scale == 1 and np.all(shift == 0):
        return face
    landmarks = face.landmarks * scale
    landmarks[:, :2] += (0.5 - shift) * scale - 0.5
    return replace(face, landmarks=landmarks)
