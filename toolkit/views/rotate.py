"""Rotated views: a near-frontal photo with its head turned to another pose.

The head is MediaPipe's face mesh and a skull behind it, as wide as the hair in the photo. The body stays where it is,
and the background that the head uncovers is inpainted.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.faces.head_mesh import SKULL_CENTER_Y, build_head, face_oval, head_triangles, normals
from toolkit.faces.shape_model import DEPTH_SCALE, PIVOT, head_coordinates
from toolkit.geometry.mesh_topology import CHIN, SKIN
from toolkit.geometry.rasterizer import Raster, rasterize, sample_bilinear
from toolkit.photos.types import Image
from toolkit.views.inpaint import extend_person_colors, inpaint_smooth
from toolkit.views.segmentation import CERTAIN_BACKGROUND, Mask, person_mask

Points = NDArray[np.float64]
Light = tuple[float, float]  # azimuth in degrees, positive from the subject's left; strength, 0 to 1

_DEPTH_FACTOR = np.array([1, 1, DEPTH_SCALE])  # of head coordinates: the mesh network makes faces too deep
_HAIR_SCALES = np.linspace(0.8, 1.5, 36)  # skull sizes that are tried, relative to a bare skull


@dataclass(frozen=True, slots=True)
class RotatedView:
    """A photo with its head rotated."""

    image: Image  # (H, W, 3) RGB, as large as the photo
    landmarks: Points  # (478, 3) of the rotated face, pixels
    head: Mask  # (H, W) 0 to 1: 1 where the image shows the head, 0 for background and body


class RotatableHead:
    """The head of a near-frontal photo: computes once what all poses share, and draws any number of them.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: from a :class:`toolkit.landmarks.protocols.Landmarker`, yaw below about 15 degrees.
        depth_offsets: (468,) head coordinates, added to the mesh's z, from
            :func:`toolkit.faces.depth_jitter.draw_depth_offsets`; None adds nothing.

    Raises:
        PhotoRejected: ``bad-mesh``, the landmarks are degenerate.
    """

    def __init__(self, photo: Image, face: Face, depth_offsets: NDArray[np.float64] | None = None) -> None:
        self._shape, self._rotation, self._scale, self._origin = head_coordinates(face.landmarks)
        if depth_offsets is not None:
            self._shape[:SKIN, 2] += depth_offsets
        mask = person_mask(photo, face.landmarks[:SKIN])
        self._head = build_head(self._shape[:SKIN])
        if mask is not None:
            candidates = self._project(_scaled_equators(self._shape))
            self._head = build_head(self._shape[:SKIN], _hair_reach(self._shape, mask, candidates))
        self._texture = extend_person_colors(photo, mask)
        self._texture_xy = self._project(self._head.texture)[:, :2].astype(np.float32)
        self._background = inpaint_smooth(photo, self._find_background(photo, mask))

    def view(self, yaw: float, pitch: float = 0.0, light: Light | None = None) -> RotatedView:
        """Draw the head in another pose; arguments as for :func:`rotate_view`."""
        rotation = _rotation_matrix(yaw, pitch)
        vertices = self._project((self._head.vertices * _DEPTH_FACTOR - PIVOT) @ rotation.T + PIVOT)
        height, width = self._texture.shape[:2]
        raster = rasterize(vertices.astype(np.float32), head_triangles(), (width, height))
        colors = sample_bilinear(self._texture, raster.interpolate(head_triangles(), self._texture_xy))
        if light is not None:
            colors = colors * _light_factor(raster, vertices, light)
        inside = cv2.erode((raster.triangle >= 0).astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.float32)
        head = np.asarray(cv2.GaussianBlur(inside, (0, 0), 1.0), np.float32)
        image = np.clip(colors * head[..., None] + self._background * (1 - head[..., None]), 0, 255).astype(np.uint8)
        landmarks = self._project((self._shape * _DEPTH_FACTOR - PIVOT) @ rotation.T + PIVOT)
        return RotatedView(image, landmarks, head)

    def _project(self, points: Points) -> Points:
        """Return (N, 3) points in head coordinates as pixels of the photo."""
        return np.asarray(self._scale * points @ self._rotation.T + self._origin)

    def _find_background(self, photo: Image, mask: Mask | None) -> NDArray[np.bool_]:
        """Return (H, W): pixels not covered by the head, which are the background and the body below the chin."""
        points = self._project(self._head.vertices)
        height, width = photo.shape[:2]
        halved = (points * 0.5).astype(np.float32)  # half the resolution is enough: the edge is dilated below
        covered = rasterize(halved, head_triangles(), (width // 2 + 1, height // 2 + 1)).triangle >= 0
        dilated = np.asarray(cv2.dilate(covered.astype(np.uint8), np.ones((3, 3), np.uint8)))
        background = dilated.repeat(2, axis=0).repeat(2, axis=1)[:height, :width] == 0
        if mask is not None:
            above_chin = np.arange(height)[:, None] < points[CHIN, 1]
            background &= ~((mask > CERTAIN_BACKGROUND) & above_chin)
        return np.asarray(background if background.any() else ~background)


def rotate_view(photo: Image, face: Face, yaw: float, pitch: float = 0.0, light: Light | None = None) -> RotatedView:
    """Rotate the head of a near-frontal photo.

    For several poses of one photo, :class:`RotatableHead` does the common work once.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: from a :class:`toolkit.landmarks.protocols.Landmarker`, yaw below about 15 degrees.
        yaw: degrees to rotate by, positive to the subject's left; realistic up to 60, usable up to 90.
        pitch: degrees to rotate by, positive up.
        light: direction and strength of a light: its azimuth in degrees, positive from the subject's left, and its
            strength, 0 to 1; None keeps the light of the photo.

    Returns:
        The photo with the rotated head, the landmarks of the rotated face, and the mask of the head.

    Raises:
        PhotoRejected: ``bad-mesh``, the landmarks are degenerate.
    """
    return RotatableHead(photo, face).view(yaw, pitch, light)


def _rotation_matrix(yaw: float, pitch: float) -> NDArray[np.float64]:
    """Return (3, 3) in head coordinates: first pitch, then yaw about the neck; both in degrees."""
    cos, sin = math.cos(math.radians(yaw)), math.sin(math.radians(yaw))
    about_neck = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])
    cos, sin = math.cos(math.radians(pitch)), math.sin(math.radians(pitch))
    return np.asarray(about_neck @ np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]))


def _scaled_equators(shape: Points) -> Points:
    """Return the equator of a bare skull at each of 36 scales, (36 * 36, 3) head coordinates."""
    equator = build_head(shape[:SKIN], back=False).vertices[-len(face_oval()) :]
    scaled = np.repeat(equator[None], len(_HAIR_SCALES), axis=0)
    scaled[:, :, 0] *= _HAIR_SCALES[:, None]
    scaled[:, :, 1] = SKULL_CENTER_Y + (scaled[:, :, 1] - SKULL_CENTER_Y) * _HAIR_SCALES[:, None]
    return scaled.reshape(-1, 3)


def _hair_reach(shape: Points, mask: Mask, candidates: Points) -> NDArray[np.float64]:
    """Return how far the hair reaches at each point of the face's oval, (36,), 1 for a bare skull.

    Args:
        shape: (468 or more, 3) head coordinates.
        mask: (H, W) 0 to 1, of the person.
        candidates: (36 * 36, 2 or more) pixels, from :func:`_scaled_equators`: the largest inside the mask counts,
            within a bound that falls towards the neck.
    """
    height, width = mask.shape
    x, y = np.clip(candidates[:, :2].round().astype(int).T, 0, [[width - 1], [height - 1]])
    inside = (mask[y, x] > 0.5).reshape(len(_HAIR_SCALES), -1)
    last_inside = np.clip(np.cumprod(inside, axis=0).sum(axis=0) - 1, 0, len(_HAIR_SCALES) - 1)
    bound = np.interp(shape[face_oval(), 1], [-0.3, 0.3, 0.8, 1.0], [1.5, 1.3, 1.05, 1.0])
    reach = np.minimum(np.maximum(_HAIR_SCALES[last_inside], 0.95), bound)
    ring = np.concatenate([reach[-3:], reach, reach[:3]])
    return np.convolve(ring, np.full(7, 1 / 7), "valid")


def _light_factor(raster: Raster, vertices: Points, light: Light) -> NDArray[np.float32]:
    """Return (H, W, 1): the factor by which a directional light, by Lambert's law, changes an evenly lit head."""
    azimuth, strength = light
    direction = np.array([math.sin(math.radians(azimuth)), -0.3, -math.cos(math.radians(azimuth))])
    cosines = normals(vertices, head_triangles()) @ (direction / np.linalg.norm(direction))
    factor = 1 + strength * (np.clip(cosines, 0, 1) * 1.6 - 0.9)
    return np.asarray(raster.interpolate(head_triangles(), factor[:, None].astype(np.float32)))
