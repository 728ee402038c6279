"""A face found in a photo, and how its landmarks change when the photo is flipped, cropped or resized."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.mesh_topology import MIRROR, POINTS, SKIN


@dataclass(frozen=True, slots=True)
class Face:
    """One face in one photo."""

    landmarks: NDArray[np.float64]  # (478, 3): x, y in pixels of the photo, z on the same scale, away from the camera
    score: float | None  # the detector's confidence, 0 to 1; None if unknown
    presence: float | None = None  # the mesh network's confidence that a face is there, 0 to 1; None if unknown
    found_by: str = "plain"  # the view of the photo in which it was found

    def __post_init__(self) -> None:
        if self.landmarks.shape != (POINTS, 3):
            raise ValueError(f"landmarks {self.landmarks.shape}: must be ({POINTS}, 3), the points of MediaPipe's mesh")

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the 468 points on the skin, pixels of the photo."""
        x, y = self.landmarks[:SKIN, 0], self.landmarks[:SKIN, 1]
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    @property
    def size(self) -> float:
        """The larger side of the box, pixels: turned heads are narrow, not small."""
        left, top, right, bottom = self.box
        return max(right - left, bottom - top)


def overlap(a: Face, b: Face) -> float:
    """Return the intersection over union of two faces' boxes, 0 to 1."""
    a_left, a_top, a_right, a_bottom = a.box
    b_left, b_top, b_right, b_bottom = b.box
    across = min(a_right, b_right) - max(a_left, b_left)
    down = min(a_bottom, b_bottom) - max(a_top, b_top)
    if across <= 0 or down <= 0:
        return 0.0
    both = across * down
    return both / ((a_right - a_left) * (a_bottom - a_top) + (b_right - b_left) * (b_bottom - b_top) - both)


def remove_duplicates(faces: list[Face], max_overlap: float = 0.3) -> list[Face]:
    """Keep, of faces whose boxes overlap more than ``max_overlap`` (IoU), the one with the best score.

    Returns:
        The faces kept, best score first.
    """
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -(face.score or 0)):
        if all(overlap(face, other) <= max_overlap for other in kept):
            kept.append(face)
    return kept


def flip_landmarks(landmarks: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Map landmarks to the horizontally flipped photo; left and right points change places.

    Args:
        landmarks: (478, 3), pixels of the photo.
        width: of the photo, pixels.

    Returns:
        (478, 3), pixels of the flipped photo.
    """
    return np.asarray(landmarks[MIRROR] * [-1, 1, 1] + [width - 1, 0, 0])


def rescale_face(face: Face, scale: float, shift: NDArray[np.float64] | float = 0.0) -> Face:
    """Map a face to its photo cropped and resized: ``(xy - shift + 0.5) * scale - 0.5``.

    Args:
        face: pixels of the photo.
        scale: pixels of the result per pixel of the photo.
        shift: (2,) x, y of the crop's top-left pixel in the photo.
    """
    if scale == 1 and np.all(shift == 0):
        return face
    landmarks = face.landmarks * scale
    landmarks[:, :2] += (0.5 - shift) * scale - 0.5
    return replace(face, landmarks=landmarks)
