"""Views of a known yaw, for measuring the aligner: a near-frontal photo's head turned about its vertical axis.

Crude on purpose, and independent of what is measured: FaceMesh's own depth, three rings of skin
around the face for ears, hair and neck (shared/GEOMETRY.md), a blurred copy of the photo behind.
"""

import itertools
import math
from functools import cache

import cv2
import numpy as np
from mediapipe.python.solutions import face_mesh_connections as edges
from numpy.typing import NDArray

from toolkit.geometry.head_pose import head_frame

Points = NDArray[np.float64]
EAR_SIDES = (234, 454)  # the head turns about the midpoint between these
RINGS = ((1.12, 0.25), (1.3, 0.6), (1.55, 1.1))  # how wide, and how far back in half face widths


def turned(
    photo: NDArray[np.uint8], landmarks: Points, yaw: float, pitch: float = 0
) -> tuple[NDArray[np.uint8], Points]:
    """Turn the head of a photo by degrees (positive: to the subject's left, up); also gives where its points go.

    Both count from the head's own forward direction, whatever small turn the photo has.
    """
    points = landmarks[:468]
    frame = head_frame(points)
    pivot = points[list(EAR_SIDES)].mean(axis=0)
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    aside = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    cos, sin = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    turn = aside @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
    upright = (points - pivot) @ frame
    head, triangles = _with_rings(upright)
    roll = math.atan2(frame[1, 0], frame[0, 0])
    level = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    seen = head @ turn.T @ level.T + pivot
    source = head @ frame.T + pivot
    return _render(photo, source[:, :2], seen, triangles), seen[:468]


@cache
def _face_triangles() -> tuple[tuple[int, int, int], ...]:
    """Every three points that the tessellation joins pairwise."""
    near: dict[int, set[int]] = {}
    for a, b in edges.FACEMESH_TESSELATION:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    found = {tuple(sorted((a, b, c))) for a, b in edges.FACEMESH_TESSELATION for c in near[a] & near[b]}
    lids = (edges.FACEMESH_LEFT_EYE, edges.FACEMESH_RIGHT_EYE, _inner_lips())
    fans = [(ring[0], b, c) for ring in map(_walk, lids) for b, c in itertools.pairwise(ring[1:])]
    return (*found, *fans)  # type: ignore[arg-type]


def _inner_lips() -> set[tuple[int, int]]:
    inner = {78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95}
    return {(a, b) for a, b in edges.FACEMESH_LIPS if a in inner and b in inner}


def _walk(ring: frozenset[tuple[int, int]] | set[tuple[int, int]]) -> list[int]:
    """The points of a closed line in order."""
    left = list(ring)
    path = list(left.pop())
    while left:
        edge = next(edge for edge in left if path[-1] in edge)
        left.remove(edge)
        path.append(edge[0] if edge[1] == path[-1] else edge[1])
    return path[:-1]


def _with_rings(points: Points) -> tuple[Points, NDArray[np.int64]]:
    oval = _walk(edges.FACEMESH_FACE_OVAL)
    centre = points[oval].mean(axis=0)
    half = np.ptp(points[oval, 0]) / 2
    rings = [(points[oval] - centre) * [wide, wide, 1] + centre + [0, 0, back * half] for wide, back in RINGS]
    triangles: list[tuple[int, int, int]] = list(_face_triangles())
    before, n = oval, len(oval)
    for k in range(len(RINGS)):
        ring = list(range(468 + k * n, 468 + (k + 1) * n))
        for i in range(n):
            j = (i + 1) % n
            triangles += [(before[i], before[j], ring[i]), (before[j], ring[j], ring[i])]
        before = ring
    return np.concatenate([points, *rings]), np.array(triangles)


def _render(photo: NDArray[np.uint8], source: Points, seen: Points, triangles: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Paint triangles from far to near, each pixel looked up in the photo, over a blurred copy of it."""
    height, width = photo.shape[:2]
    where = np.full((height, width, 2), -1.0, np.float32)
    for corners in triangles[np.argsort(-seen[triangles, 2].mean(axis=1))]:
        a, b, c = seen[corners, :2]
        low = np.maximum(np.floor(np.minimum(np.minimum(a, b), c)), 0).astype(int)
        high = np.minimum(np.ceil(np.maximum(np.maximum(a, b), c)), [width - 1, height - 1]).astype(int)
        twice = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if abs(twice) < 1e-9 or (high < low).any():
            continue
        y, x = np.mgrid[low[1] : high[1] + 1, low[0] : high[0] + 1]
        v = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / twice
        w = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / twice
        inside = (v >= -1e-3) & (w >= -1e-3) & (v + w <= 1 + 1e-3)
        here = np.stack([1 - v - w, v, w], axis=-1)[inside] @ source[corners]
        where[y[inside], x[inside]] = here
    face = cv2.remap(photo, where[..., 0], where[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    behind = cv2.GaussianBlur(photo, (0, 0), width / 25)
    return np.where(where[..., :1] >= 0, face, behind).astype(np.uint8)
