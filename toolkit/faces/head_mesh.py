"""A triangle mesh of the head: MediaPipe's face mesh, and a skull and neck behind it for hair, ears and jaw line.

Head coordinates: origin at the inner-eye midpoint, x to the subject's left, y down, z backward; 1 is
the distance from there down to the chin (about 11 cm).

The vertices are the 468 points of the face, then rings of 36 points: 5 from the face's oval to the
widest ring (the equator), and 4 from there to the back of the head.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.mesh_topology import MIRROR, SKIN

Points = NDArray[np.float64]
Index = NDArray[np.intp]

# Proportions of an adult head (breadth 15.5, length 19.5, height above the eyes 11.5 cm), in head coordinates.
SKULL_CENTER_Y, SKULL_HALF_BREADTH, SKULL_TOP, EQUATOR_Z, SKULL_DEPTH = -0.28, 0.70, 1.0, 0.75, 0.85
NECK_HALF_BREADTH, NECK_DROP, NECK_Z, NECK_DEPTH = 0.42, 0.25, 0.45, 0.35
FACE_HALF_BREADTH = 0.606  # half the mean width of the mesh's oval
FRONT_RINGS = np.array([0.2, 0.4, 0.6, 0.8, 1.0])  # from the oval to the equator, as shares of a quarter ellipse
BACK_RINGS = np.array([0.3, 0.6, 0.85, 1.0])  # from the equator to the back of the head, likewise


@dataclass(frozen=True, slots=True)
class Head:
    """Vertices of a head, and the points of the same head from which they take their colors."""

    vertices: Points  # (V, 3): face, front rings, back rings
    texture: Points  # (V, 3): the same, except that vertices a frontal photo cannot show refer to visible hair and skin


@cache
def face_oval() -> Index:
    """Return (36,) indices of the face's outline, in order around it."""
    return _load("oval")


@cache
def head_triangles(back: bool = True) -> Index:
    """Return (T, 3) vertex indices of the triangles; normals point outward.

    ``head_mesh.npz`` holds them. Those of the face are the triples of points that MediaPipe's
    FACEMESH_TESSELATION joins pairwise, without two beside the nostrils that cover three others each,
    and fans that close the eyes and the mouth.

    Args:
        back: include the back of the head.
    """
    return _load("triangles" if back else "triangles_without_back")


@cache
def head_mirror(back: bool = True) -> Index:
    """Return (V,) index of each vertex's mirror vertex."""
    position = {int(point): number for number, point in enumerate(face_oval())}
    across = np.array([position[int(MIRROR[point])] for point in face_oval()])
    rings = [SKIN + ring * len(across) + across for ring in range(len(FRONT_RINGS) + len(BACK_RINGS) * back)]
    return np.concatenate([MIRROR[:SKIN], *rings])


def _load(name: str) -> Index:
    with np.load(Path(__file__).with_name("head_mesh.npz")) as stored:
        return np.asarray(stored[name], np.intp)


def build_head(face: Points, reach: NDArray[np.float64] | None = None, back: bool = True) -> Head:
    """Build a skull and a neck behind a face.

    From every point of the face's outline a quarter ellipse leads to the head's equator, the
    widest ring, and another one from there to the back of the head. Below the jaw they lead to the neck.

    Args:
        face: (468, 3) head coordinates.
        reach: (36,) size of the equator at each outline point, hair included, relative to a bare skull.
            None means 1.
        back: include the back of the head, which a frontal view does not need.
    """
    outline = face[face_oval()]
    equator, depth, center = _equator(outline, 1.0 if reach is None else reach[:, None])
    front = [_front_ring(outline, equator, share) for share in FRONT_RINGS]
    if not back:
        vertices = np.concatenate([face, *front])
        return Head(vertices, vertices)
    behind, texture = [], []
    for share in BACK_RINGS:
        angle = share * np.pi / 2 * 0.95  # the last ring is no point, where the texture would converge in streaks
        ring = center + (equator - center) * np.cos(angle)
        ring[:, 2] = equator[:, 2] + depth * np.sin(angle)
        behind.append(ring)
        source = _front_ring(outline, equator, 1 - 0.9 * share)
        texture.append(_hair_texture(outline, source, min(1.0, share / 0.6)))
    return Head(np.concatenate([face, *front, *behind]), np.concatenate([face, *front, *texture]))


def normals(vertices: Points, triangles: Index) -> Points:
    """Compute the (V, 3) outward unit normals of (V, 3) vertices."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    summed = np.zeros_like(vertices)
    for corner in range(3):
        for axis in range(3):
            summed[:, axis] += np.bincount(triangles[:, corner], across[:, axis], len(vertices))
    return np.asarray(summed / np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-12))


def _equator(outline: Points, reach: NDArray[np.float64] | float) -> tuple[Points, NDArray[np.float64], Points]:
    """Compute the widest ring, the depth of the head behind each of its points, and the axis that it surrounds."""
    x, y = outline[:, 0], outline[:, 1]
    half = np.ptp(x) / 2
    breadth = SKULL_HALF_BREADTH * half / FACE_HALF_BREADTH
    low = np.clip((y - SKULL_CENTER_Y) / (1 - SKULL_CENTER_Y), 0, 1)  # 0 on the skull, 1 at the chin
    angle = np.arctan2(y - SKULL_CENTER_Y, x)
    neck = NECK_HALF_BREADTH * half / FACE_HALF_BREADTH
    side = (breadth * (1 - low**2) + neck * low**2) * np.clip(np.abs(x) / half * 1.15, 0, 1) * np.sign(x)
    skull = y < SKULL_CENTER_Y
    equator = np.stack(
        [
            np.where(skull, np.cos(angle) * breadth, side),
            np.where(skull, SKULL_CENTER_Y + np.sin(angle) * (SKULL_TOP + SKULL_CENTER_Y), y + NECK_DROP * low**3),
            EQUATOR_Z * (1 - low**2) + NECK_Z * low**2,
        ],
        axis=1,
    )
    center = np.array([0.0, SKULL_CENTER_Y])
    equator[:, :2] = center + (equator[:, :2] - center) * reach
    axis = np.stack([np.zeros_like(y), SKULL_CENTER_Y * (1 - low) + y * low, equator[:, 2]], axis=1)
    return equator, SKULL_DEPTH * (1 - low**2) + NECK_DEPTH * low**2, axis


def _front_ring(outline: Points, equator: Points, share: float) -> Points:
    """Return the (36, 3) ring at a share of the quarter ellipses, which lead outward first, then backward."""
    angle = share * np.pi / 2
    factors = np.array([np.sin(angle), np.sin(angle), 1 - np.cos(angle)])
    return np.asarray(outline + (equator - outline) * factors)


def _hair_texture(outline: Points, ring: Points, strength: float) -> Points:
    """Shift the texture of a ring upwards behind the ears, where there is hair, but not at the neck, where skin is."""
    count, top = len(outline), int(np.argmin(outline[:, 1]))
    steps = (np.arange(count) - top + count // 2) % count - count // 2  # signed, from the top
    lift = np.interp(outline[:, 1], [-0.2, 0.2, 0.7, 0.95], [0, 1, 1, 0]) * strength
    position = steps * (1 - 0.55 * lift)
    below = np.floor(position).astype(int)
    share = (position - below)[:, None]
    return np.asarray(ring[(top + below) % count] * (1 - share) + ring[(top + below + 1) % count] * share)
