"""A near-frontal photo whose head can be turned to any pose.

The face is MediaPipe's mesh as it is, with a skull behind it as wide as the photo's hair; the body
stays, and what the head uncovers is filled from around.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.faces.head_mesh import CENTRE_Y, build_head, head_triangles, normals, oval
from toolkit.faces.shape_model import DEPTH, PIVOT, head_coordinates
from toolkit.geometry.mesh_topology import CHIN, SKIN
from toolkit.geometry.rasterizer import Raster, look_up, rasterize
from toolkit.views.inpaint import fill, person_only
from toolkit.views.segmentation import MAYBE, person_mask

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]
Map = NDArray[np.float32]
Light = tuple[float, float]
DEEP = np.array([1, 1, DEPTH])


@dataclass(frozen=True, slots=True)
class View:
    """A photo with its head turned."""

    image: Photo  # (H, W, 3) RGB, as large as the photo
    landmarks: Points  # (478, 3) where the face is now, pixels
    head: Map  # (H, W) 0 to 1: which pixels show the head, not the wall or the body


class TurnableHead:
    """What all poses of one photo share: the head's shape, its colours, and what is behind it.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it, yaw below about 15 degrees.
        depths: (468,) to add to the mesh's own, from :func:`toolkit.faces.depth_jitter.draw_depths`; None leaves them.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """

    def __init__(self, photo: Photo, face: Face, depths: Points | None = None) -> None:
        self._shape, self._rotation, self._scale, self._origin = head_coordinates(face.landmarks)
        if depths is not None:
            self._shape[:SKIN, 2] += depths
        mask = person_mask(photo, face.landmarks[:SKIN])
        self._head = build_head(self._shape[:SKIN])
        if mask is not None:
            self._head = build_head(self._shape[:SKIN], _reach(self._shape, mask, self._on_photo(_spokes(self._shape))))
        self._colours = person_only(photo, mask)
        self._places = self._on_photo(self._head.texture)[:, :2].astype(np.float32)
        self._backdrop = fill(photo, self._uncovered(photo, mask))

    def view(self, yaw: float, pitch: float = 0.0, light: Light | None = None) -> View:
        """Turn the head; see :func:`toolkit.views.rotate.rotate_view`."""
        turn = _turn(yaw, pitch)
        turned = self._on_photo((self._head.vertices * DEEP - PIVOT) @ turn.T + PIVOT)
        height, width = self._colours.shape[:2]
        seen = rasterize(turned.astype(np.float32), head_triangles(), (width, height))
        colours = look_up(self._colours, seen.interpolate(head_triangles(), self._places))
        if light is not None:
            colours = colours * _lamp(seen, turned, light)
        shown = cv2.erode((seen.triangle >= 0).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        share = np.asarray(cv2.GaussianBlur(shown, (0, 0), 1.0), np.float32)
        image = np.clip(colours * share[..., None] + self._backdrop * (1 - share[..., None]), 0, 255).astype(np.uint8)
        return View(image, self._on_photo((self._shape * DEEP - PIVOT) @ turn.T + PIVOT), share)

    def _on_photo(self, points: Points) -> Points:
        return np.asarray(self._scale * points @ self._rotation.T + self._origin)

    def _uncovered(self, photo: Photo, mask: Map | None) -> NDArray[np.bool_]:
        """Pixels that stay when the head is taken away: the wall, and the body below the chin."""
        points = self._on_photo(self._head.vertices)
        height, width = photo.shape[:2]
        halved = (points * 0.5).astype(np.float32)  # a coarse look is enough, and the edge is widened anyway
        covered = rasterize(halved, head_triangles(), (width // 2 + 1, height // 2 + 1)).triangle >= 0
        wide = np.asarray(cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)))
        stays = wide.repeat(2, axis=0).repeat(2, axis=1)[:height, :width] == 0
        if mask is not None:
            above_chin = np.arange(height)[:, None] < points[CHIN, 1]
            stays &= ~((mask > MAYBE) & above_chin)
        return np.asarray(stays if stays.any() else ~stays)


def _turn(yaw: float, pitch: float) -> Points:
    """(3, 3) in head coordinates: first pitch, then yaw about the neck."""
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    aside = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    cos, sin = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    return np.asarray(aside @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]))


_STEPS = np.linspace(0.8, 1.5, 36)  # reaches that are tried, of a bare skull's


def _spokes(shape: Points) -> Points:
    """(36 * 36, 3): every reach of every point of the equator."""
    equator = build_head(shape[:SKIN], back=False).vertices[-len(oval()) :]
    spokes = np.repeat(equator[None], len(_STEPS), axis=0)
    spokes[:, :, 0] *= _STEPS[:, None]
    spokes[:, :, 1] = CENTRE_Y + (spokes[:, :, 1] - CENTRE_Y) * _STEPS[:, None]
    return spokes.reshape(-1, 3)


def _reach(shape: Points, mask: NDArray[np.float32], spokes: Points) -> Points:
    """How far the hair reaches from each point of the outline: to where the person ends, less far towards the neck."""
    height, width = mask.shape
    x, y = np.clip(spokes[:, :2].round().astype(int).T, 0, [[width - 1], [height - 1]])
    inside = (mask[y, x] > 0.5).reshape(len(_STEPS), -1)
    ends = _STEPS[np.clip(np.cumprod(inside, axis=0).sum(axis=0) - 1, 0, len(_STEPS) - 1)]
    most = np.interp(shape[oval(), 1], [-0.3, 0.3, 0.8, 1.0], [1.5, 1.3, 1.05, 1.0])
    reach = np.minimum(np.maximum(ends, 0.95), most)
    ring = np.concatenate([reach[-3:], reach, reach[:3]])
    return np.convolve(ring, np.full(7, 1 / 7), "valid")


def _lamp(seen: Raster, turned: Points, light: tuple[float, float]) -> Map:
    """(H, W, 1) factor: Lambert's law for one lamp, in place of even light."""
    azimuth, strength = light
    towards = np.array([math.sin(math.radians(azimuth)), -0.3, -math.cos(math.radians(azimuth))])
    facing = normals(turned, head_triangles()) @ (towards / np.linalg.norm(towards))
    factor = 1 + strength * (np.clip(facing, 0, 1) * 1.6 - 0.9)
    return np.asarray(seen.interpolate(head_triangles(), factor[:, None].astype(np.float32)))


def rotate_view(photo: Photo, face: Face, yaw: float, pitch: float = 0.0, light: Light | None = None) -> View:
    """Turn the head of a near-frontal photo.

    For several poses of one photo, :class:`toolkit.views.rotate.TurnableHead` does the common work once.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it, yaw below about 15 degrees.
        yaw: degrees to turn by, positive to the subject's left; believable to 60, usable to 90.
        pitch: degrees, positive up.
        light: a lamp's azimuth in degrees (positive: from the subject's left) and its strength, 0 to 1; None
            leaves the light as it is.

    Returns:
        The photo with the turned head, and where its landmarks are now.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    return TurnableHead(photo, face).view(yaw, pitch, light)
