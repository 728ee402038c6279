"""The warp of a photo that turns the head in it to the camera.

The head turns about the neck. What surrounds it moves along, less and less with the distance from the head.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face, rescale_face
from toolkit.faces.frontal_shape import frontal_shape
from toolkit.faces.head_mesh import FRONT_RINGS, build_head, face_oval, head_triangles
from toolkit.faces.shape_model import HEAD_HALF_SIDE, PIVOT, Fit, fit_shape
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.resample import crop_around
from toolkit.photos.types import Image
from toolkit.views.segmentation import person_mask
from toolkit.views.skull import texture_positions, trim_skull

Points = NDArray[np.float64]
Values = NDArray[np.float64]

STILL_RADIUS = 1.65  # in radii of the head's outline: from here on the photo does not move along with the outline
RING_SCALES = np.array([1.08, 1.18, 1.3, 1.45, STILL_RADIUS])  # rings around the head, likewise
RING_DEPTH = 9.0  # head coordinates: z of the rings, behind the head
CONTOUR_SCALES = np.linspace(0.75, 1.3, 56)  # where the person's contour is searched, relative to the head's outline
CONTOUR_MARGIN = 0.05  # head coordinates: this far outside the contour, pixels still mix person and background
FAR_SIDE_GAIN = 8.0  # a point is fully on the far side when it lies 1/8 ahead of the outline's center, head coordinates
_MASK_PIXELS_PER_UNIT = 100.0  # per unit of head coordinates; the person network resolves no more


@dataclass(frozen=True, slots=True)
class PhotoWarp:
    """The V vertices of a head and of the rings around it, before and after the warp."""

    source_xy: Points  # (V, 2) pixels of the photo
    target_xy: Points  # (V, 2) pixels of the photo with the head turned to the camera
    head_xyz: Points  # (V, 3) head coordinates; extrapolated on the rings


def find_photo_warp(photo: Image, face: Face) -> PhotoWarp:
    """Find the warp that turns a head to the camera.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: from a :class:`toolkit.landmarks.protocols.Landmarker`.

    Raises:
        PhotoRejected: ``bad-mesh``, the landmarks are degenerate.
    """
    fit = fit_shape(face.landmarks)
    head, frontal = (build_head(shape, back=False).vertices for shape in (fit.shape, frontal_shape(fit)))
    source = texture_positions(face.landmarks[:SKIN, :2], fit, head)
    values = trim_skull(np.column_stack([source, _turn_to_camera(fit, frontal), frontal]), frontal)
    source, target, head = values[:, :2], values[:, 2:4], values[:, 4:]

    outline = slice(-len(face_oval()), None)
    far = _far_side_weight(fit, target[outline])
    source[outline] = _find_contour(source, far, photo, face, fit)
    # On the far side the cheek hides the skull: sampled where the photo has them, its vertices would show the cheek a
    # second time. They are sampled beyond the contour instead.
    rings = np.concatenate([face_oval(), np.arange(SKIN, len(head))]).reshape(-1, len(far))
    beyond_contour = target[rings] + source[outline] - target[outline]
    source[rings] += far[:, None] * (beyond_contour - source[rings])

    fade = smoothstep(1 - np.interp(RING_SCALES, [1, RING_SCALES[-1]], [0, 1]))
    outer, outer_head = _scale_outline(target[outline]), _scale_outline(head[outline])
    outer_head[..., 2] = RING_DEPTH
    offsets = fade[:, None, None] * (source[outline] - target[outline])
    return PhotoWarp(
        source_xy=np.concatenate([source, (outer + offsets).reshape(-1, 2)]),
        target_xy=np.concatenate([target, outer.reshape(-1, 2)]),
        head_xyz=np.concatenate([head, outer_head.reshape(-1, 3)]),
    )


@cache
def photo_warp_triangles() -> NDArray[np.intp]:
    """Return (T, 3) vertex numbers: the triangles of the head without its back, and of the rings around it."""
    count = len(face_oval())
    triangles = [head_triangles(back=False)]
    for ring in range(len(RING_SCALES)):
        inner = SKIN + (len(FRONT_RINGS) - 1 + ring) * count + np.arange(count)
        next_inner, outer = np.roll(inner, -1), inner + count
        triangles += [
            np.column_stack([inner, next_inner, outer]),
            np.column_stack([next_inner, outer, np.roll(outer, -1)]),
        ]
    return np.concatenate(triangles)


def head_outline_vertices() -> slice:
    """Return which of the vertices are the head's outline: 36 in order."""
    end = SKIN + len(FRONT_RINGS) * len(face_oval())
    return slice(end - len(face_oval()), end)


def _turn_to_camera(fit: Fit, head: Points) -> Points:
    """Return (V, 2) pixels: the head turned about its neck until it faces the camera, with the same roll."""
    frontal = replace(fit, rotation=fit.roll_rotation)
    neck_offset = fit.project(PIVOT[None]) - frontal.project(PIVOT[None])
    return np.asarray((frontal.project(head) + neck_offset)[:, :2])


def _far_side_weight(fit: Fit, outline: Points) -> Values:
    """Return (36,) 0 to 1: how far each point of the head's outline lies on the far side; zeros for a frontal head.

    Args:
        fit: of the face.
        outline: (36, 2) pixels, of the head turned to the camera.
    """
    ahead = -fit.rotation[:2, 2]  # its length is the sine of the turn
    return np.asarray(np.clip((outline - outline.mean(axis=0)) @ ahead / fit.scale * FAR_SIDE_GAIN, 0, 1))


def _find_contour(points: Points, far: Values, photo: Image, face: Face, fit: Fit) -> Points:
    """Return (36, 2) pixels of the photo: the head's contour, in the directions of the last 36 points.

    The outline of a turned head can lie behind its cheek or in front of it, but the contour is where the photo shows
    the head next to the background. That is the hull of all points; on the far side, which is drawn anew, it is the
    contour of the person's mask.

    Args:
        points: (V, 2) pixels of the photo, the outline last.
        far: (36,) from :func:`_far_side_weight`.
        photo: (H, W, 3) RGB uint8.
        face: in that photo.
        fit: of that face.
    """
    hull = np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float64)
    center = hull.mean(axis=0)
    outward = (np.roll(hull, -1, axis=0) - hull)[:, ::-1] * [1, -1]
    distance = ((hull - center) * outward).sum(axis=1)
    outward, distance = outward * np.sign(distance)[:, None], np.abs(distance)  # for either winding
    rays = points[-len(far) :] - center
    slope = rays @ outward.T
    rays *= np.where(slope > 0, distance / np.where(slope > 0, slope, 1), np.inf).min(axis=1)[:, None]
    return np.asarray(center + rays * (1 + far * (_person_reach(center, rays, photo, face, fit) - 1))[:, None])


def _person_reach(center: Points, rays: Points, photo: Image, face: Face, fit: Fit) -> Values:
    """Return (36,) factors that extend rays from the hull to just outside the person's contour.

    Where no contour is found the ray ends just outside the hull; without a mask the factor is 1.
    """
    crop, corner, scale = crop_around(
        photo, fit.project(PIVOT[None])[0], HEAD_HALF_SIDE * fit.scale, fit.scale / _MASK_PIXELS_PER_UNIT
    )
    mask = person_mask(crop, rescale_face(face, scale, corner).landmarks[:SKIN])
    if mask is None:
        return np.ones(len(rays))
    height, width = mask.shape
    samples = (center + rays * CONTOUR_SCALES[:, None, None] - corner + 0.5) * scale - 0.5
    x, y = np.clip(samples.round().astype(int), 0, [width - 1, height - 1]).transpose(2, 0, 1)
    steps = np.cumprod(mask[y, x] > 0.5, axis=0).sum(axis=0)
    found = (steps > 0) & (steps < len(CONTOUR_SCALES))
    margin = CONTOUR_MARGIN * fit.scale / np.linalg.norm(rays, axis=1)
    reach = np.where(found, CONTOUR_SCALES[np.maximum(steps, 1) - 1], 1.0) + margin
    return np.convolve(np.concatenate([reach[-1:], reach, reach[:1]]), np.full(3, 1 / 3), "valid")


def _scale_outline(outline: Points) -> Points:
    """Return the rings around an outline, (len(RING_SCALES), 36, C), from the inner to the outer."""
    center = outline.mean(axis=0)
    return np.asarray(center + (outline - center) * RING_SCALES[:, None, None])


def smoothstep(share: NDArray[Any]) -> NDArray[Any]:
    """Return 0 to 1 for 0 to 1, level at both ends."""
    return np.asarray(share * share * (3 - 2 * share))
