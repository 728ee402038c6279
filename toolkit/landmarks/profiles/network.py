"""Landmarks of a face seen from the side, by a small network trained on rotated heads.

MediaPipe's mesh network is made for faces that look at the camera: on true profiles with long hair, caps or hard
light it misplaces nose and mouth. This network is trained on turned faces alone, and its errors are others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.affine import compose, invert
from toolkit.geometry.mesh_topology import CHIN, MIRROR, NOSE_ROOT
from toolkit.landmarks.detection import Region
from toolkit.networks.runtime import built_in
from toolkit.photos.resample import crop_around, warp_crop
from toolkit.photos.types import Image

Array = NDArray[np.float64]

# Points of the mesh that the network finds, on the midline and on the subject's right half.
BROW, EYE, IRIS = [70, 105, 107], [33, 160, 158, 133, 153, 144], [468]
LIPS = [0, 13, 14, 17]
MIDLINE = [10, 151, 9, 168, 6, 195, 4, 2, *LIPS, 200, 152]
MOUTH_CORNER, NOSTRIL, CHEEK = [61], [98, 129], [50, 205]
JAW = [127, 234, 93, 132, 58, 172, 136, 149, 176]
POINTS = np.array([*BROW, *EYE, *IRIS, *MIDLINE, *MOUTH_CORNER, *NOSTRIL, *CHEEK, *JAW])
NOSE_ROOT_ROW, CHIN_ROW = (int(np.flatnonzero(index == POINTS)[0]) for index in (NOSE_ROOT, CHIN))
INPUT_SIDE, STRIDE = 112, 4  # pixels: of the network's input, and per cell of its heatmaps
MARGIN = 1.6  # side of the input square over the larger side of the points' box, as in training
STEPS = 2  # runs that move the square from the mesh to the points found
MAX_SPREAD = 0.011  # spread above which the points are unreliable, and are searched again in a larger square
LARGER = 1.6  # times the side of the first square
REDUCED_HALF_SIDE = 1.5  # sides of the square: half the side of the part of the photo in which the squares may lie
SQUARE_SCALES = (0.9, 1.05, 1.25)  # sides of the squares over which the points are averaged, relative to MARGIN


@dataclass(frozen=True, slots=True)
class ProfileLandmarks:
    """Landmarks of a face seen from the side."""

    points: Array  # (38, 2) pixels of the photo: POINTS, or their mirror points if the subject's left half is visible
    near_side: float  # +1 where the subject's left half is nearer to the camera, else -1
    spread: float  # deviation between the results from several squares, as a share of the square; see MAX_SPREAD

    @property
    def indices(self) -> NDArray[np.intp]:
        """(38,) indices of the points in the mesh."""
        return visible_indices(self.near_side)


def visible_indices(near_side: float) -> NDArray[np.intp]:
    """Return the (38,) mesh indices of the points where the left (+1) or the right half (-1) is nearer."""
    return MIRROR[POINTS] if near_side > 0 else POINTS


class ProfilePoints:
    """The network, trained by examples/learn/profile_points.py."""

    def __init__(self) -> None:
        self._network = built_in("profile_points")

    def __call__(self, photo: Image, region: Region) -> ProfileLandmarks:
        """Find the points of a turned face.

        Args:
            photo: (H, W, 3) RGB uint8.
            region: approximate place of the face, as :func:`toolkit.landmarks.detection.region_of_mesh` returns it.
        """
        found = self._find_reduced(photo, region)
        if found.spread < MAX_SPREAD:
            return found
        again = self._find_reduced(photo, replace(region, side=region.side * LARGER))
        return min(found, again, key=lambda one: one.spread)

    def _find_reduced(self, photo: Image, region: Region) -> ProfileLandmarks:
        """Reduce the photo to about the input's resolution once, rather than for each square."""
        center, reduction = np.array([region.x, region.y]), region.side / INPUT_SIDE
        reduced, corner, scale = crop_around(photo, center, REDUCED_HALF_SIDE * region.side, reduction)
        x, y = (center - corner + 0.5) * scale - 0.5
        found = self._find(reduced, replace(region, x=x, y=y, side=region.side * scale))
        return replace(found, points=(found.points + 0.5) / scale - 0.5 + corner)

    def _find(self, photo: Image, region: Region) -> ProfileLandmarks:
        """Decide which side is visible, move the square to the face, and average over several squares."""
        both_sides = self._run(photo, [(region, False), (region, True)])
        flip = both_sides[1][1] > both_sides[0][1]
        region = _region_of_points(both_sides[flip][0])
        for _ in range(STEPS - 1):
            region = _region_of_points(self._run(photo, [(region, flip)])[0][0])
        squares = [(replace(region, side=region.side * scale), flip) for scale in SQUARE_SCALES]
        found = [points for points, _ in self._run(photo, squares)]
        spread = float(np.std(found, axis=0).mean() / region.side)
        return ProfileLandmarks(np.mean(found, axis=0), 1.0 if flip else -1.0, spread)

    def _run(self, photo: Image, squares: Sequence[tuple[Region, bool]]) -> list[tuple[Array, float]]:
        """Run squares of a photo as one batch, each with whether it is flipped.

        Returns:
            For each square the points in pixels of the photo, and the logit that the visible side is the subject's
            right.
        """
        matrices = [_input_matrix(region, flip) for region, flip in squares]
        maps, right = self._network(np.stack([warp_crop(photo, matrix, INPUT_SIDE) for matrix in matrices]))
        inverses = map(invert, matrices)
        return [
            (_soft_argmax(one) @ inverse[:, :2].T + inverse[:, 2], float(logit[0]))
            for one, logit, inverse in zip(maps, right, inverses, strict=True)
        ]


def _soft_argmax(maps: NDArray[np.float32]) -> Array:
    """Return the (38, 2) mean positions of (38, h, w) heatmaps, weighted by their softmax, pixels of the input."""
    _, height, width = maps.shape
    weights = np.exp(maps - maps.max(axis=(1, 2), keepdims=True)).astype(np.float64)
    weights /= weights.sum(axis=(1, 2), keepdims=True)
    center = (STRIDE - 1) / 2
    x = weights.sum(axis=1) @ (np.arange(width) * STRIDE + center)
    y = weights.sum(axis=2) @ (np.arange(height) * STRIDE + center)
    return np.stack([x, y], axis=1)


def _input_matrix(region: Region, flip: bool) -> Array:
    """Return the (2, 3) matrix photo -> network input."""
    scale = INPUT_SIDE / region.side
    cos, sin = scale * math.cos(region.angle), scale * math.sin(region.angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    matrix = np.column_stack([linear, (INPUT_SIDE - 1) / 2 - linear @ [region.x, region.y]])
    return compose(np.array([[-1.0, 0, INPUT_SIDE - 1], [0, 1, 0]]), matrix) if flip else matrix


def _region_of_points(points: Array) -> Region:
    """Return the square around (38, 2) points, upright on the line from nose root to chin."""
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + high) / 2
    down = points[CHIN_ROW] - points[NOSE_ROOT_ROW]
    return Region(float(x), float(y), max(float(max(high - low)), 1.0) * MARGIN, math.atan2(-down[0], down[1]))
