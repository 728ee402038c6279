"""How a photo moves when the head in it turns to the camera: the head about its neck, what is around it ever less."""

import math
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face, resized
from toolkit.faces.head_mesh import FRONT, build_head, head_triangles, oval
from toolkit.faces.shape_model import HEAD_HALF, PIVOT, Fit, fit_shape
from toolkit.geometry.mesh_topology import SKIN
from toolkit.views.frontal import places_of
from toolkit.views.segmentation import Mask, head_part, person_mask

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]

# How much of the skull belongs to the head behind the face's outline, by height in head coordinates: all of it at the
# ears, less at the hairline, where hair lies on it, and none at the jaw, where the neck is.
SKULL_Y, SKULL = (-0.6, -0.25, 0.35, 0.75), (0.35, 1.0, 1.0, 0.0)
AROUND = np.array([1.08, 1.18, 1.3, 1.45, 1.65])  # rings around the head, in its radii; beyond the last nothing moves
BEHIND = 9.0  # depth of the rings
REACHES = np.linspace(0.75, 1.3, 56)  # of the head's outline: where the person's contour is looked for
OUTSET = 0.05  # head coordinates: so far beyond the contour the photo still mixes skin and wall
SIDEWAYS = 8.0  # the farness is in full where the rim lies an eighth of a unit ahead of the middle
_MASK_SCALE = 100.0  # pixels per unit of head coordinates: the person mask knows no more


@dataclass(frozen=True, slots=True)
class Movement:
    """The V vertices of a head and of the rings around it, before and after."""

    source: Points  # (V, 2) pixels of the photo
    placed: Points  # (V, 2) pixels of the photo with the head turned to the camera
    head: Points  # (V, 3) head coordinates; on the rings a continuation


def movement(photo: Photo, face: Face) -> Movement:
    """Find how the photo moves.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    fit = fit_shape(face.landmarks)
    head = build_head(fit.shape, back=False).vertices
    source = places_of(face.landmarks[:SKIN, :2], fit, head)
    values = _as_far_as_drawn(np.column_stack([source, _towards_camera(fit, head), head]), fit.shape)
    source, placed, head = values[:, :2], values[:, 2:4], values[:, 4:]
    rim = slice(-len(oval()), None)
    far = _farness(fit, placed[rim])
    source[rim] = _contour(source, far, photo, face, fit)
    outline = np.concatenate([oval(), np.arange(SKIN, len(head))]).reshape(-1, len(far))
    # What lies behind the contour is, in the photo, before it: there its colours would be the cheek's once more.
    beyond_contour = placed[outline] + source[rim] - placed[rim]
    source[outline] += far[:, None] * (beyond_contour - source[outline])
    fade = _smoothstep(1 - np.interp(AROUND, [1, AROUND[-1]], [0, 1]))
    rings, beyond = _rings(placed[rim]), _rings(head[rim])
    beyond[..., 2] = BEHIND
    moved = fade[:, None, None] * (source[rim] - placed[rim])
    return Movement(
        source=np.concatenate([source, (rings + moved).reshape(-1, 2)]),
        placed=np.concatenate([placed, rings.reshape(-1, 2)]),
        head=np.concatenate([head, beyond.reshape(-1, 3)]),
    )


@cache
def movement_triangles() -> NDArray[np.intp]:
    """(T, 3) of the head without its back, and of the rings around it."""
    count = len(oval())
    triangles = [head_triangles(back=False)]
    for ring in range(len(AROUND)):
        before = SKIN + (len(FRONT) - 1 + ring) * count + np.arange(count)
        after, here = np.roll(before, -1), before + count
        triangles += [np.column_stack([before, after, here]), np.column_stack([after, here, np.roll(here, -1)])]
    return np.concatenate(triangles)


def head_rim() -> slice:
    """Where among the vertices the head's outline is, 36 of them."""
    end = SKIN + len(FRONT) * len(oval())
    return slice(end - len(oval()), end)


def _towards_camera(fit: Fit, head: Points) -> Points:
    """(V, 2) where the photo would show a head if it turned about its neck to face the camera; its roll stays."""
    roll = math.atan2(-fit.rotation[0, 1], fit.rotation[1, 1])
    cos, sin = math.cos(roll), math.sin(roll)
    frontal = replace(fit, rotation=np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))
    neck = fit.on_photo(PIVOT[None]) - frontal.on_photo(PIVOT[None])
    return np.asarray((frontal.on_photo(head) + neck)[:, :2])


def _as_far_as_drawn(values: Points, shape: Points) -> Points:
    """(V, C) values of a head's vertices, once each spoke of its skull ends where SKULL says."""
    outline = oval()
    rings = np.concatenate([values[outline][None], values[SKIN:].reshape(len(FRONT), len(outline), -1)])
    place = np.arange(1, len(rings))[:, None] * np.interp(shape[outline, 1], SKULL_Y, SKULL)
    below = np.minimum(place.astype(int), len(rings) - 2)
    share, spoke = (place - below)[..., None], np.arange(len(outline))
    drawn = rings[below, spoke] * (1 - share) + rings[below + 1, spoke] * share
    return np.concatenate([values[:SKIN], drawn.reshape(-1, values.shape[1])])


def _farness(fit: Fit, rim: Points) -> Points:
    """(36,) 0 to 1: how far on the turned-away side of a head its rim lies; 0 all around on a frontal one."""
    ahead = -fit.rotation[:2, 2]  # its length is the sine of the turn
    return np.asarray(np.clip((rim - rim.mean(axis=0)) @ ahead / fit.scale * SIDEWAYS, 0, 1))


def _contour(points: Points, far: Points, photo: Photo, face: Face, fit: Fit) -> Points:
    """(36, 2) where the photo has what shall come to lie on the rim, the last 36 points.

    The rim of a turned head lies behind its cheek, or in front of it: what counts is what the photo shows next to the
    wall. That is the hull of all points, and on the far side, which is drawn anew, the person's own contour.
    """
    hull = np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float64)
    middle = hull.mean(axis=0)
    outward = (np.roll(hull, -1, axis=0) - hull)[:, ::-1] * [1, -1]
    room = ((hull - middle) * outward).sum(axis=1)
    outward, room = outward * np.sign(room)[:, None], np.abs(room)  # either winding
    away = points[-len(far) :] - middle
    slope = away @ outward.T
    away *= np.where(slope > 0, room / np.where(slope > 0, slope, 1), np.inf).min(axis=1)[:, None]
    return np.asarray(middle + away * (1 + far * (_reach(middle, away, photo, face, fit) - 1))[:, None])


def _reach(middle: Points, away: Points, photo: Photo, face: Face, fit: Fit) -> Points:
    """(36,) how far out the person reaches, and a little further, 1 for the hull; that where no contour is in sight."""
    part, shift, scale = head_part(photo, fit.on_photo(PIVOT[None])[0], HEAD_HALF * fit.scale, fit.scale / _MASK_SCALE)
    mask: Mask | None = person_mask(part, resized(face, scale, shift).landmarks[:SKIN])
    if mask is None:
        return np.ones(len(away))
    height, width = mask.shape
    rays = (middle + away * REACHES[:, None, None] - shift + 0.5) * scale - 0.5
    x, y = np.clip(rays.round().astype(int), 0, [width - 1, height - 1]).transpose(2, 0, 1)
    steps = np.cumprod(mask[y, x] > 0.5, axis=0).sum(axis=0)
    found = (steps > 0) & (steps < len(REACHES))
    outset = OUTSET * fit.scale / np.linalg.norm(away, axis=1)
    reach = np.where(found, REACHES[np.maximum(steps, 1) - 1], 1.0) + outset
    return np.convolve(np.concatenate([reach[-1:], reach, reach[:1]]), np.full(3, 1 / 3), "valid")


def _rings(outline: Points) -> Points:
    """(len(AROUND), 36, C) rings around an outline, from the inner to the outer."""
    middle = outline.mean(axis=0)
    return np.asarray(middle + (outline - middle) * AROUND[:, None, None])


def _smoothstep(share: Points) -> Points:
    return np.asarray(share * share * (3 - 2 * share))
