"""Points of a face seen from the side, by a network that learned them from turned heads.

MediaPipe's mesh network was made for faces that look at the camera: on true profiles with long hair, caps or hard
light it loses nose and mouth. This one knows nothing else than sides of faces, and errs in other places.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry import mesh_topology
from toolkit.geometry.affine import compose, invert
from toolkit.geometry.mesh_topology import MIRROR
from toolkit.landmarks.detection import Region
from toolkit.photos.resample import cut

Photo = NDArray[np.uint8]
Array = NDArray[np.float64]

# Points of the mesh, on the subject's right half and the midline; last the mouth's corner, nostril, cheek and jaw.
BROW, EYE, IRIS = [70, 105, 107], [33, 160, 158, 133, 153, 144], [468]
LIPS = [0, 13, 14, 17]
MIDLINE = [10, 151, 9, 168, 6, 195, 4, 2, *LIPS, 200, 152]
JAW = [127, 234, 93, 132, 58, 172, 136, 149, 176]
POINTS = np.array([*BROW, *EYE, *IRIS, *MIDLINE, 61, 98, 129, 50, 205, *JAW])
ROOT, CHIN = (
    int(np.flatnonzero(number == POINTS)[0]) for number in (mesh_topology.NOSE_ROOT, mesh_topology.CHIN)
)  # its rows
SIDE, STRIDE = 112, 4  # pixels: of what the network sees, and per cell of its maps
AROUND = 1.6  # side of its square over the larger side of the points' box: what it was trained with
APPROACHES = 2  # looks that bring it nearer, from the mesh that was found to the points that it sees
LOST = 0.011  # spread from which its points are not to be believed: it looks again, from a square so much wider
WIDER = 1.6
SIZES = (0.9, 1.0, 1.12, 1.25)  # of the usual square: the points are the mean of these looks


@dataclass(frozen=True, slots=True)
class Profile:
    """A face seen from the side."""

    points: Array  # (39, 2) pixels of the photo: POINTS, mirrored where the subject's left half is seen
    near: float  # +1 where the subject's left half is nearer to the camera, else -1
    spread: float  # how far looks from several squares disagree, as a share of the square; see LOST

    @property
    def numbers(self) -> NDArray[np.intp]:
        """(39,) which points of the mesh these are."""
        return numbers_seen(self.near)


def numbers_seen(near: float) -> NDArray[np.intp]:
    """(39,) which points of the mesh are seen where the left (+1) or the right half (-1) is nearer."""
    return MIRROR[POINTS] if near > 0 else POINTS


class ProfilePoints:
    """The network; examples/learn_profile_points.py made it. About 20 ms a face on one core."""

    def __init__(self) -> None:
        self._net: Any = cv2.dnn.readNetFromONNX(str(Path(__file__).with_name("profile_points.onnx")))

    def __call__(self, photo: Photo, region: Region) -> Profile:
        """Find the points of a turned face.

        Args:
            photo: (H, W, 3) RGB uint8.
            region: about where the face is, as :func:`toolkit.landmarks.detection.region_of_mesh` has it.
        """
        seen = self._seen_from(photo, region)
        if seen.spread < LOST:
            return seen
        again = self._seen_from(photo, replace(region, side=region.side * WIDER))
        return min(seen, again, key=lambda one: one.spread)

    def _seen_from(self, photo: Photo, region: Region) -> Profile:
        either = [self._look(photo, region, mirrored) for mirrored in (False, True)]
        mirrored = either[1][1] > either[0][1]
        region = _around(either[mirrored][0])
        for _ in range(APPROACHES - 1):
            region = _around(self._look(photo, region, mirrored)[0])
        looks = [self._look(photo, replace(region, side=region.side * size), mirrored)[0] for size in SIZES]
        spread = float(np.std(looks, axis=0).mean() / region.side)
        return Profile(np.mean(looks, axis=0), 1.0 if mirrored else -1.0, spread)

    def _look(self, photo: Photo, region: Region, mirrored: bool) -> tuple[Array, float]:
        """The points in pixels of the photo, and the belief (a logit) that this is the side it knows."""
        matrix = _matrix(region, mirrored)
        self._net.setInput(cv2.dnn.blobFromImage(cut(photo, matrix, SIDE), 1 / 128, mean=(127.5, 127.5, 127.5)))
        maps, right = self._net.forward(["maps", "right"])
        back = invert(matrix)
        return _places(maps[0]) @ back[:, :2].T + back[:, 2], float(right[0, 0])


def _places(maps: NDArray[np.float32]) -> Array:
    """(39, 2) pixels: the mean place of each map, as weighted by its softmax."""
    _, height, width = maps.shape
    weights = np.exp(maps - maps.max(axis=(1, 2), keepdims=True)).astype(np.float64)
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    middle = (STRIDE - 1) / 2
    x = weights.sum(axis=1) @ (np.arange(width) * STRIDE + middle)
    y = weights.sum(axis=2) @ (np.arange(height) * STRIDE + middle)
    return np.stack([x, y], axis=1)


def _matrix(region: Region, mirrored: bool) -> Array:
    """(2, 3) photo -> what the network sees."""
    scale = SIDE / region.side
    cos, sin = scale * math.cos(region.angle), scale * math.sin(region.angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    matrix = np.column_stack([linear, (SIDE - 1) / 2 - linear @ [region.x, region.y]])
    return compose(np.array([[-1.0, 0, SIDE - 1], [0, 1, 0]]), matrix) if mirrored else matrix


def _around(points: Array) -> Region:
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    down = points[CHIN] - points[ROOT]
    return Region(float(x), float(y), max(float(max(high - low)), 1.0) * AROUND, math.atan2(-down[0], down[1]))
