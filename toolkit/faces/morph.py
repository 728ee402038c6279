"""Morphs: the head of one person with parts of another's face, each part in a share of its own.

Both faces look at the camera, in crops of one template, so that their landmarks lie near each other. The landmarks move
from the first face towards the second; both images are warped to the result and blended inside the face. Hair, neck and
what is behind stay the first person's. What is aligned to the two faces, as their frontal views are, takes the same
warps.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.head_mesh import face_oval
from toolkit.geometry.mesh_topology import (
    LEFT_EYE_INNER,
    LEFT_EYE_OUTER,
    LOWER_LIP,
    MOUTH_LEFT,
    MOUTH_RIGHT,
    NOSE_BASE,
    NOSE_ROOT,
    NOSE_TIP,
    RIGHT_EYE_INNER,
    RIGHT_EYE_OUTER,
    SKIN,
    UPPER_LIP,
)
from toolkit.photos.types import Image

Points = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

UNIT = 1 / 128  # of the side: lengths below that are said to be in units
# Of the warp, square units. With 2, one warp in forty folded where a part moved against the rest; with 60 none of 320
# did, and the landmarks lie a quarter of a unit from where they were to be.
SMOOTHING = 60.0
GRID = 33  # places per side at which the warp is computed; between them it is interpolated
EVERY = 5  # of the landmarks, one in so many shapes the warp, besides the face's outline
# Stays in place: around the frame, so that the warp fades out beyond the face. Units, from the top left corner.
ANCHORS = np.array([[x, y] for y in (-40, 64, 168) for x in (-40, 64, 168) if (x, y) != (64, 64)], float)
NOSTRIL_RIGHT, NOSTRIL_LEFT = 129, 358  # points of the mesh
INNER, OUTER = 0.85, 1.35  # of a part's ellipse: its share holds up to the first, the rest's from the second on
EDGE, FEATHER = 5, 3.0  # units: how far the outline is shrunk before colors are blended, and its softness
SPREAD = (0.6, 1.6)  # least and greatest change of the contrast when colors are matched
# Chances of none, all, and anything between. Without the first two, each morph would be a mean face.
PART_CHANCES, REST_CHANCES = (0.3, 0.4, 0.3), (0.3, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of each part of a face is the second person's, in shape and color: 0 nothing, 1 all of it."""

    eyes: float
    nose: float
    mouth: float
    rest: float  # of the face


def draw_shares(random: np.random.Generator) -> Shares:
    """Draw the shares of a new person: never all 0 or all 1, which would be one of the two people."""
    while True:
        eyes, nose, mouth = (_draw_share(random, PART_CHANCES) for _ in range(3))
        shares = Shares(eyes, nose, mouth, _draw_share(random, REST_CHANCES))
        if len({*astuple(shares)} | {0.0}) > 1 and len({*astuple(shares)} | {1.0}) > 1:
            return shares


def _draw_share(random: np.random.Generator, chances: tuple[float, float, float]) -> float:
    return float(random.choice([0.0, 1.0, random.uniform()], p=chances))


class Morph:
    """The warps and weights that make one face of two.

    Args:
        one: (468, 2) landmarks of the first face, pixels of its square crop.
        other: likewise, of the second face.
        shares: of the second person.
        size: side of the crops, pixels.

    Attributes:
        landmarks: (468, 2) of the new face, pixels of the crop.
    """

    def __init__(self, one: Points, other: Points, shares: Shares, size: int) -> None:
        self.landmarks = np.asarray(one + _shares_at(one, one, shares)[:, None] * (other - one))
        self._maps = [warp_map(face, self.landmarks, size) for face in (one, other)]
        self._inside = _inside_of(self.landmarks, size)
        pixel_xy = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
        self._weight = self._inside * _shares_at(pixel_xy, self.landmarks, shares).astype(np.float32)

    def colors(self, one: Sequence[Image], other: Sequence[Image]) -> list[Image]:
        """Morph images of the two faces, (S, S, 3) RGB each.

        The second face's colors are first matched to the first one's in mean and deviation inside the face. What is
        computed for that from the first pair of images holds for all of them.

        Args:
            one: of the first face, aligned to its landmarks.
            other: as many of the second face.
        """
        warped = [self._warped(pair) for pair in zip(one, other, strict=True)]
        gain, offset = _matching(*warped[0], self._inside) if warped else (1.0, 0.0)
        return [_blend(mine, theirs * gain + offset, self._weight[..., None]) for mine, theirs in warped]

    def mask(self, one: Image, other: Image) -> Image:
        """Morph two masks, (S, S) each."""
        return _blend(*self._warped((one, other)), self._weight)

    def _warped(self, pair: tuple[Image, Image]) -> tuple[Floats, Floats]:
        one, other = (
            cv2.remap(image.astype(np.float32), x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            for image, (x, y) in zip(pair, self._maps, strict=True)
        )
        return np.asarray(one), np.asarray(other)


def warp_map(source: Points, target: Points, size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Compute where the pixels of a warped crop come from, by a smoothing thin plate spline.

    Args:
        source: (468, 2) landmarks in the crop.
        target: (468, 2) where they are to be in the warped one.
        size: side of both, pixels.

    Returns:
        x and y in the crop for each pixel of the warped one, (S, S) each, as cv2.remap takes them.

    Source: Bookstein, IEEE PAMI 11(6), 1989.
    """
    unit = size * UNIT
    picked = np.union1d(np.arange(0, SKIN, EVERY), face_oval())
    knots = np.concatenate([target[picked] / unit, ANCHORS])
    moved = np.concatenate([(source[picked] - target[picked]) / unit, np.zeros_like(ANCHORS)])
    count = len(knots)
    affine = np.column_stack([np.ones(count), knots])
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _spline_kernel(knots, knots) + SMOOTHING * np.eye(count)
    system[:count, count:], system[count:, :count] = affine, affine.T
    weights = np.linalg.solve(system, np.concatenate([moved, np.zeros((3, 2))]))
    middles = ((np.arange(GRID) + 0.5) * size / GRID - 0.5) / unit  # of equal cells, as cv2.resize has them
    places = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
    offsets = _spline_kernel(places, knots) @ weights[:count] + weights[count] + places @ weights[count + 1 :]
    coarse = (offsets * unit).reshape(GRID, GRID, 2).astype(np.float32)
    fine = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    return fine[..., 0] + x, fine[..., 1] + y


def _spline_kernel(points: Points, knots: Points) -> Points:
    """Return r^2 log r for each of N points and K knots, (N, K)."""
    squared = np.square(points[:, None] - knots).sum(axis=-1)
    return np.asarray(squared * np.log(np.maximum(squared, 1e-12)) / 2)


def _shares_at(places: NDArray[Any], landmarks: Points, shares: Shares) -> Points:
    """Return the share of the second person at places (..., 2) in a face; it changes smoothly between parts."""
    found = np.full(places.shape[:-1], shares.rest, float)
    for share, (middle, radii) in zip((shares.eyes, shares.nose, shares.mouth), _parts(landmarks), strict=True):
        distance = np.linalg.norm((places - middle) / radii, axis=-1)
        near = np.clip((OUTER - distance) / (OUTER - INNER), 0, 1)
        found += near**2 * (3 - 2 * near) * (share - found)
    return found


def _parts(landmarks: Points) -> list[tuple[Points, Points]]:
    """Return center and radii, (2,) each, of the ellipses around both eyes, the nose and the mouth."""

    def distance(one: int, other: int) -> float:
        return float(np.linalg.norm(landmarks[one] - landmarks[other]))

    eyes = landmarks[[RIGHT_EYE_OUTER, RIGHT_EYE_INNER, LEFT_EYE_INNER, LEFT_EYE_OUTER]].mean(axis=0)
    mouth = landmarks[[MOUTH_RIGHT, MOUTH_LEFT, UPPER_LIP, LOWER_LIP]].mean(axis=0)
    breadth = distance(RIGHT_EYE_OUTER, LEFT_EYE_OUTER)
    nose_radii = 0.42 * distance(NOSTRIL_RIGHT, NOSTRIL_LEFT), 0.42 * distance(NOSE_ROOT, NOSE_BASE)
    mouth_radii = 0.6 * distance(MOUTH_RIGHT, MOUTH_LEFT), 0.73 * distance(UPPER_LIP, LOWER_LIP)
    return [
        (eyes, np.maximum([0.5 * breadth, 0.135 * breadth], 1)),
        (landmarks[NOSE_TIP], np.maximum(nose_radii, 1)),
        (mouth, np.maximum(mouth_radii, 1)),
    ]


def _inside_of(landmarks: Points, size: int) -> Floats:
    """Draw the inside of a face, (S, S) from 0 to 1 with a soft edge."""
    drawn = np.zeros((size, size), np.uint8)
    cv2.fillPoly(drawn, [np.round(landmarks[face_oval()]).astype(np.int32)], (255,))
    edge = max(1, round(EDGE * size * UNIT))
    drawn = np.asarray(cv2.erode(drawn, np.ones((edge, edge), np.uint8)), np.uint8)
    return np.asarray(cv2.GaussianBlur(drawn.astype(np.float32) / 255, (0, 0), FEATHER * size * UNIT), np.float32)


def _matching(one: Floats, other: Floats, inside: Floats) -> tuple[Floats, Floats]:
    """Return gain and offset, (3,) each, that give the second image the first one's mean and deviation inside."""
    (mean, deviation), (other_mean, other_deviation) = (_statistics(image, inside) for image in (one, other))
    gain = np.clip(deviation / np.maximum(other_deviation, 1), *SPREAD)
    return gain, mean - other_mean * gain


def _statistics(image: Floats, weight: Floats) -> tuple[Floats, Floats]:
    total = max(float(weight.sum()), 1.0)
    mean = (image * weight[..., None]).sum(axis=(0, 1)) / total
    variance = (np.square(image - mean) * weight[..., None]).sum(axis=(0, 1)) / total
    return mean, np.sqrt(variance)


def _blend(one: Floats, other: Floats, weight: Floats) -> Image:
    return np.clip(np.round(one + weight * (other - one)), 0, 255).astype(np.uint8)
