"""Views of known yaw and pitch for tests of the aligner: the head of a near-frontal photo, rotated and rendered.

The renderer is simple on purpose and independent of the code under test: the mesh network's own depth, three rings of
skin around the face for ears, hair and neck, and a blurred copy of the photo as background.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.head_mesh import face_oval, head_triangles
from toolkit.geometry.head_pose import head_frame
from toolkit.geometry.mesh_topology import SKIN

Points = NDArray[np.float64]
EAR_SIDES = (234, 454)  # indices of the mesh: the head turns about the midpoint between these
RINGS = ((1.12, 0.25), (1.3, 0.6), (1.55, 1.1))  # width relative to the oval; depth behind it, in half face widths


def turned(
    photo: NDArray[np.uint8], landmarks: Points, yaw: float, pitch: float = 0
) -> tuple[NDArray[np.uint8], Points]:
    """Rotate the head of a photo by degrees (positive: to the subject's left, up).

    The angles are relative to the head's forward direction in the photo.

    Returns:
        (H, W, 3) RGB uint8, and the (468, 3) landmarks in it.
    """
    points = landmarks[:SKIN]
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
    return _render(photo, source[:, :2], seen, triangles), seen[:SKIN]


def _with_rings(points: Points) -> tuple[Points, NDArray[np.intp]]:
    oval = face_oval()
    center = points[oval].mean(axis=0)
    half = np.ptp(points[oval, 0]) / 2
    rings = [(points[oval] - center) * [wide, wide, 1] + center + [0, 0, back * half] for wide, back in RINGS]
    face = head_triangles()
    triangles = [face[(face < SKIN).all(axis=1)]]
    before = oval
    for number in range(len(RINGS)):
        ring = SKIN + number * len(oval) + np.arange(len(oval))
        after_before, after_ring = np.roll(before, -1), np.roll(ring, -1)
        triangles += [np.stack([before, after_before, ring], 1), np.stack([after_before, after_ring, ring], 1)]
        before = ring
    return np.concatenate([points, *rings]), np.concatenate(triangles)


def _render(photo: NDArray[np.uint8], source: Points, seen: Points, triangles: NDArray[np.intp]) -> NDArray[np.uint8]:
    """Draw triangles from far to near with the photo as texture, over a blurred copy of the photo."""
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
