"""The skull around a face: where its vertices lie in the photo, and where it ends."""

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.head_mesh import FRONT_RINGS, face_oval
from toolkit.faces.shape_model import Fit
from toolkit.geometry.mesh_topology import SKIN

Points = NDArray[np.float64]

# Share of the skull behind the face's oval that counts as head, by height in head coordinates: all of it at the ears,
# less at the hairline, where hair covers it, and nothing at the jaw, where the neck begins.
SKULL_HEIGHTS, SKULL_SHARES = (-0.6, -0.25, 0.35, 0.5), (0.35, 1.0, 1.0, 0.0)


def texture_positions(mesh: Points, fit: Fit, head: Points) -> Points:
    """Return where each vertex of a head has its color in the photo, (V, 2) pixels.

    Vertices of the face lie where the mesh has them. Those of the skull follow the nearest vertex of the face's oval.

    Args:
        mesh: (468, 2) pixels.
        fit: of that mesh.
        head: (V, 3) head coordinates, from :func:`toolkit.faces.head_mesh.build_head` with ``back=False``.
    """
    placed = fit.project(head)[:, :2]
    offset = mesh[face_oval()] - placed[face_oval()]
    rings = (len(head) - SKIN) // len(offset)
    return np.concatenate([mesh, placed[SKIN:] + np.tile(offset, (rings, 1))])


def trim_skull(values: Points, shape: Points) -> Points:
    """Interpolate the vertices of the skull so that it ends where SKULL_SHARES says.

    Args:
        values: (V, C) one row for each vertex of the head.
        shape: (468 or more, 3) head coordinates.

    Returns:
        (V, C).
    """
    outline = face_oval()
    rings = np.concatenate([values[outline][None], values[SKIN:].reshape(len(FRONT_RINGS), len(outline), -1)])
    position = np.arange(1, len(rings))[:, None] * np.interp(shape[outline, 1], SKULL_HEIGHTS, SKULL_SHARES)
    lower = np.minimum(position.astype(int), len(rings) - 2)
    share, column = (position - lower)[..., None], np.arange(len(outline))
    trimmed = rings[lower, column] * (1 - share) + rings[lower + 1, column] * share
    return np.concatenate([values[:SKIN], trimmed.reshape(-1, values.shape[1])])
