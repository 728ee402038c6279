"""The head as triangles: MediaPipe's face, and a skull and neck that carry hair, ears and jaw line behind it.

Head coordinates: origin at the inner-eye midpoint, x to the subject's left, y down, z backward; 1 is
the distance from there down to the chin (about 11 cm).
"""

import itertools
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.mesh_topology import MIRROR, SKIN

Points = NDArray[np.float64]
Index = NDArray[np.intp]
Edges = set[tuple[int, int]]

# A grown head's proportions (breadth 15.5, length 19.5, height above the eyes 11.5 cm), in head coordinates.
CENTRE_Y, HALF_BREADTH, TOP, EQUATOR_Z, LENGTH = -0.28, 0.70, 1.0, 0.75, 0.85
NECK_HALF, NECK_Y, NECK_Z, NECK_LENGTH = 0.42, 0.25, 0.45, 0.35
FACE_HALF = 0.606  # half the mean width of the mesh's oval
FRONT = np.array([0.2, 0.4, 0.6, 0.8, 1.0])  # rings from the oval to the equator, as shares of a quarter ellipse
BACK = np.array([0.3, 0.6, 0.85, 1.0])  # and on from there to the back of the head
_SEED = (1, 4, 44)  # a triangle of the nose tip: in this order its normal points at the camera
_INNER_LIPS = {78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95}


@dataclass(frozen=True, slots=True)
class Head:
    """Vertices of a head, and where in the same head each takes its colour from."""

    vertices: Points  # (V, 3): face, front rings, back rings
    texture: Points  # (V, 3): the same, but what a frontal photo cannot show points at hair and skin that it shows


@cache
def oval() -> Index:
    """(36,) points of the face's outline, in order."""
    from mediapipe.python.solutions.face_mesh_connections import FACEMESH_FACE_OVAL

    return np.array(_walk(set(FACEMESH_FACE_OVAL)))


@cache
def head_triangles(back: bool = True) -> Index:
    """(T, 3) triangles of the face, with closed eyes and lips, and of the rings; normals point outward."""
    outline, faces = oval(), list(_face_triangles())
    before = outline
    for ring in range(len(FRONT) + len(BACK) * back):
        here = SKIN + ring * len(outline) + np.arange(len(outline))
        after_before, after_here = np.roll(before, -1), np.roll(here, -1)
        faces += zip(before.tolist(), after_before.tolist(), here.tolist(), strict=True)
        faces += zip(after_before.tolist(), after_here.tolist(), here.tolist(), strict=True)
        before = here
    return _wound(faces)


@cache
def head_mirror(back: bool = True) -> Index:
    """(V,) the vertex that takes each one's place in the mirror."""
    place = {int(point): number for number, point in enumerate(oval())}
    across = np.array([place[int(MIRROR[point])] for point in oval()])
    rings = [SKIN + ring * len(across) + across for ring in range(len(FRONT) + len(BACK) * back)]
    return np.concatenate([MIRROR[:SKIN], *rings])


def build_head(face: Points, reach: NDArray[np.float64] | None = None, back: bool = True) -> Head:
    """Grow a skull and a neck behind a face.

    From every point of the face's outline a quarter ellipse leads to the head's equator, the
    widest ring, and another one on to the back of the head. Jaw points lead to the neck.

    Args:
        face: (468, 3) head coordinates.
        reach: (36,) how far out the hair reaches at each outline point, 1 for a bare skull.
        back: with the back of the head, which a frontal view does not need.
    """
    outline = face[oval()]
    equator, depth, centre = _equator(outline, 1.0 if reach is None else reach[:, None])
    front = [_between(outline, equator, share) for share in FRONT]
    if not back:
        vertices = np.concatenate([face, *front])
        return Head(vertices, vertices)
    behind, colours = [], []
    for share in BACK:
        angle = share * np.pi / 2 * 0.95  # not to a point: streaks would meet there
        ring = centre + (equator - centre) * np.cos(angle)
        ring[:, 2] = equator[:, 2] + depth * np.sin(angle)
        behind.append(ring)
        colours.append(_hairwards(outline, _between(outline, equator, 1 - 0.9 * share), min(1.0, share / 0.6)))
    return Head(np.concatenate([face, *front, *behind]), np.concatenate([face, *front, *colours]))


def normals(vertices: Points, triangles: Index) -> Points:
    """(V, 3) unit normals of the vertices, outward."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    summed = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            summed[:, axis] += np.bincount(triangles[:, corner], across[:, axis], len(vertices))
    return np.asarray(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12))


def _equator(outline: Points, reach: NDArray[np.float64] | float) -> tuple[Points, NDArray[np.float64], Points]:
    """The widest ring; how far the head goes on behind each of its points; and the axis it closes around."""
    x, y = outline[:, 0], outline[:, 1]
    half = np.ptp(x) / 2
    breadth = HALF_BREADTH * half / FACE_HALF
    low = np.clip((y - CENTRE_Y) / (1 - CENTRE_Y), 0, 1)  # 0 on the skull, 1 at the chin
    angle = np.arctan2(y - CENTRE_Y, x)
    neck = NECK_HALF * half / FACE_HALF
    side = (breadth * (1 - low**2) + neck * low**2) * np.clip(np.abs(x) / half * 1.15, 0, 1) * np.sign(x)
    skull = y < CENTRE_Y
    equator = np.stack(
        [
            np.where(skull, np.cos(angle) * breadth, side),
            np.where(skull, CENTRE_Y + np.sin(angle) * (TOP + CENTRE_Y), y + NECK_Y * low**3),
            EQUATOR_Z * (1 - low**2) + NECK_Z * low**2,
        ],
        axis=1,
    )
    middle = np.array([0.0, CENTRE_Y])
    equator[:, :2] = middle + (equator[:, :2] - middle) * reach
    axis = np.stack([np.zeros_like(y), CENTRE_Y * (1 - low) + y * low, equator[:, 2]], axis=1)
    return equator, LENGTH * (1 - low**2) + NECK_LENGTH * low**2, axis


def _between(outline: Points, equator: Points, share: float) -> Points:
    """A ring on the quarter ellipses: outward first, then backward."""
    angle = share * np.pi / 2
    way = np.array([np.sin(angle), np.sin(angle), 1 - np.cos(angle)])
    return np.asarray(outline + (equator - outline) * way)


def _hairwards(outline: Points, ring: Points, strength: float) -> Points:
    """Behind the ears there is hair: take colours from further up the ring, but skin where the neck is."""
    count, top = len(outline), int(np.argmin(outline[:, 1]))
    steps = (np.arange(count) - top + count // 2) % count - count // 2  # signed, from the top
    lift = np.interp(outline[:, 1], [-0.2, 0.2, 0.7, 0.95], [0, 1, 1, 0]) * strength
    place = steps * (1 - 0.55 * lift)
    below = np.floor(place).astype(int)
    share = (place - below)[:, None]
    return np.asarray(ring[(top + below) % count] * (1 - share) + ring[(top + below + 1) % count] * share)


def _face_triangles() -> list[tuple[int, int, int]]:
    """Every three points that MediaPipe's edges join pairwise, and fans that close eyes and lips."""
    from mediapipe.python.solutions import face_mesh_connections as edges

    near: dict[int, set[int]] = {}
    for a, b in edges.FACEMESH_TESSELATION:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    threes = {tuple(sorted((a, b, c))) for a, b in edges.FACEMESH_TESSELATION for c in near[a] & near[b]}
    # Beside each nostril three edges close a triangle that lies over three others: all its edges have two more owners.
    owners = Counter(side for three in threes for side in itertools.combinations(three, 2))
    found = [three for three in threes if any(owners[side] < 3 for side in itertools.combinations(three, 2))]
    lips = {(a, b) for a, b in edges.FACEMESH_LIPS if a in _INNER_LIPS and b in _INNER_LIPS}
    rings = [_walk(set(edges.FACEMESH_LEFT_EYE)), _walk(set(edges.FACEMESH_RIGHT_EYE)), _walk(lips)]
    fans = [(ring[0], b, c) for ring in rings for b, c in itertools.pairwise(ring[1:])]
    return [*sorted(found), *fans]


def _walk(ring: Edges) -> list[int]:
    """The points of a closed line in order, from its lowest number."""
    left = sorted(ring)
    path = list(left.pop(0))
    while left:
        edge = next(edge for edge in left if path[-1] in edge)
        left.remove(edge)
        path.append(edge[0] if edge[1] == path[-1] else edge[1])
    return path[:-1]


def _wound(faces: list[tuple[int, int, int]]) -> Index:
    """Turn triangles so that neighbours agree, starting from the nose, which faces the camera."""
    by_edge: dict[frozenset[int], list[int]] = {}
    for number, (a, b, c) in enumerate(faces):
        for edge in ((a, b), (b, c), (c, a)):
            by_edge.setdefault(frozenset(edge), []).append(number)
    seed = faces.index(_SEED)
    turned, waiting = {seed: _SEED}, [seed]
    while waiting:
        a, b, c = turned[waiting.pop()]
        for edge in ((a, b), (b, c), (c, a)):
            for other in by_edge[frozenset(edge)]:
                if other not in turned:
                    third = (set(faces[other]) - set(edge)).pop()
                    turned[other] = (edge[1], edge[0], third)
                    waiting.append(other)
    return np.array([turned[number] for number in range(len(faces))])
