"""Frontal views: a face at any yaw, drawn as seen from the front.

:func:`frontal_view` works in two steps. :func:`prepare_view` computes the inputs of one view from a photo and a face:
the mesh as a texture map and the photo as its texture. :func:`render_view` draws the view from these alone;
:mod:`models.frontal_view` does the same for a batch on a GPU.

The shape of a turned face is corrected (:mod:`toolkit.faces.frontal_shape`). Around the head the view shows what the
photo has there (:mod:`toolkit.views.surroundings`). The less a face is turned, the more the view is the photo itself.

Colors of the background (a wall behind a profile) must not get into the face. Three steps of :func:`prepare_view` keep
them out, all of them based on the person's mask; :func:`render_view` removes what is left of them on the bridge of the
nose (:func:`toolkit.views.middle_line.remove_spots`):

1. :func:`_find_person` segments the person; a turned head by its colors (:mod:`toolkit.views.head_outline`).
2. :func:`_remove_background` replaces all pixels outside by the person's nearest pixels (:mod:`toolkit.views.inpaint`).
3. :func:`toolkit.views.profile_contour.fit_mesh_to_contour` moves mesh vertices that lie outside back inside.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face, rescale_face
from toolkit.faces.frontal_shape import frontal_shape
from toolkit.faces.head_mesh import build_head, head_mirror, head_triangles, normals
from toolkit.faces.shape_model import HEAD_HALF_SIDE, PIVOT, Fit, fit_shape
from toolkit.geometry.affine import matrix_scale
from toolkit.geometry.crop import Template, crop_matrix
from toolkit.geometry.mesh_topology import SKIN
from toolkit.geometry.rasterizer import rasterize, sample_bilinear
from toolkit.photos.resample import crop_around
from toolkit.photos.types import Image
from toolkit.views.head_outline import head_outline_mask, is_profile, mesh_profile_mask
from toolkit.views.inpaint import extend_person_colors
from toolkit.views.middle_line import remove_backlight, remove_spots
from toolkit.views.profile_contour import fit_mesh_to_contour
from toolkit.views.segmentation import Mask, covers_face, person_probability
from toolkit.views.skull import texture_positions, trim_skull
from toolkit.views.surroundings import Frame, surroundings, turned_share

Points = NDArray[np.float64]
FloatImage = NDArray[np.float32]

BLEND_HALF_WIDTH = 0.05  # difference in visibility at which a pixel comes from one half of the face alone
RIM_BLUR = 1.0  # pixels: standard deviation of the blur between head and surroundings
CONTOUR_MARGIN = 0.01  # head coordinates: this near to the contour, pixels mix the colors of person and background
HIDDEN_FROM, HIDDEN_FULLY = 0.01, 0.03  # head coordinates: a vertex this far behind another surface is hidden
_DEPTH_MAP_SCALE = 45.0  # pixels per unit of head coordinates in the depth map that tells which vertices are hidden


class FrontalView(NamedTuple):
    """A face as seen from the front."""

    image: Image  # (S, S, 3) RGB uint8; what the photo hides is the mirror image of the other half
    visibility: NDArray[np.float32]  # (S, S) how well the photo shows each pixel: 1 facing the camera, 0 hidden
    unmirrored: Image  # (S, S, 3) RGB uint8: the same without mirroring; pixels of little visibility are stretched

    @property
    def mask(self) -> Image:
        """The visibility as it is stored, (S, S) uint8, 0 to 255."""
        return np.asarray(np.round(255 * self.visibility), np.uint8)

    @property
    def network_inputs(self) -> list[Image]:
        """What the refiner takes, all uint8: the view, (S, S, 3), its mask, (S, S), and the unmirrored view."""
        return [self.image, self.mask, self.unmirrored]


@dataclass(frozen=True, slots=True)
class ViewInputs:
    """The inputs of :func:`render_view`: a head of V vertices, textured with the photo."""

    texture: Image  # (H, W, 3) RGB: the part of the photo with the head, the background replaced by the person's colors
    texture_xy: NDArray[np.float32]  # (V, 2) pixels of the texture: where each vertex has its color
    view_xyz: NDArray[np.float32]  # (V, 3) pixels of the view: where each vertex is drawn, z away from the camera
    visibility: NDArray[np.float32]  # (V,) how well the photo shows each vertex: 1 facing the camera, 0 hidden
    background: Image  # (S, S, 3) RGB, as large as the view: what surrounds the head
    own_margin: float  # a pixel is mirrored where its mirror image is more visible by this


def frontal_view(
    photo: Image, face: Face, size: int = 128, template: Template = "chin", border: int = 0
) -> FrontalView:
    """Draw a face as seen from the front.

    The half of the face that the photo shows is moved to where a frontal view has it. The hidden half is its mirror
    image, with the lighting adapted to the little that the photo shows of that half.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: from a :class:`toolkit.landmarks.protocols.Landmarker`, at any yaw.
        size: side of the view, pixels.
        template: which crop the view shows; see :mod:`toolkit.geometry.crop`.
        border: pixels added on each side; S is size + 2 border.

    Raises:
        PhotoRejected: ``bad-mesh``, the landmarks are degenerate.
    """
    return render_view(prepare_view(photo, face, size, template, border), size + 2 * border, border)


def prepare_view(photo: Image, face: Face, size: int, template: Template, border: int = 0) -> ViewInputs:
    """Compute the inputs of a frontal view; arguments and errors as for :func:`frontal_view`."""
    fit = fit_shape(face.landmarks)
    turn, shape = turned_share(fit), frontal_shape(fit)
    matrix = _bordered(crop_matrix(shape, size, template), border)
    head, frontal = (build_head(points, back=False).vertices for points in (fit.shape, shape))
    part = _head_part(photo, face, fit, HEAD_HALF_SIDE, matrix_scale(matrix))
    mesh = part.face.landmarks[:SKIN, :2]

    # Of a face that looks at the camera the view is the photo itself: nothing has to be kept out of it.
    person, in_profile = _find_person(part) if turn else (None, False)
    texture = _remove_background(part, person, in_profile)
    mesh_inside = fit_mesh_to_contour(mesh, part.fit, person) if person is not None and in_profile else mesh
    values = [texture_positions(mesh_inside, part.fit, head), _vertex_visibility(part.fit, head), frontal]
    positions, visibility, frontal = np.split(trim_skull(np.column_stack(values), frontal), [2, 3], axis=1)
    view_xyz = _to_view(frontal, matrix)
    own = _bordered(crop_matrix(part.face.landmarks, size, template), border)
    view_xyz[:, :2] = turn * view_xyz[:, :2] + (1 - turn) * (positions @ own[:, :2].T + own[:, 2])

    around, colors, around_person, around_xy = part, texture, person, positions
    if (reach := _view_reach(matrix, size + 2 * border)) > HEAD_HALF_SIDE:  # a wide border shows more than the part
        around = _head_part(photo, face, fit, reach, matrix_scale(matrix))
        shift, zoom = (part.corner - around.corner) * around.scale, around.scale / part.scale
        around_xy, colors = (positions + 0.5) * zoom + shift - 0.5, _place(texture, around.image, shift, zoom)
        around_person, _ = _find_person(around) if turn else (None, False)
        own = _bordered(crop_matrix(around.face.landmarks, size, template), border)
    frame = Frame(matrix, own, around.fit, size + 2 * border)
    return ViewInputs(
        texture=texture,
        texture_xy=positions.astype(np.float32),
        view_xyz=view_xyz.astype(np.float32),
        visibility=visibility[:, 0].astype(np.float32),
        background=surroundings(around.image, colors, around_person, around_xy, view_xyz[:, :2], frame),
        own_margin=1 - turn,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """A square part of a photo, at the resolution of a view."""

    image: Image
    corner: Points  # (2,) pixels of the photo: its top left pixel
    scale: float  # pixels of the part per pixel of the photo
    face: Face  # in the part's pixels
    fit: Fit  # likewise


def _head_part(photo: Image, face: Face, fit: Fit, half_side: float, view_scale: float) -> _Part:
    """Cut the part around a head's pivot out of a photo.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: in the photo.
        fit: of that face.
        half_side: of the part, head coordinates.
        view_scale: pixels of the view per unit of head coordinates.
    """
    center = fit.project(PIVOT[None])[0]
    image, corner, scale = crop_around(photo, center, half_side * fit.scale, fit.scale / view_scale)
    return _Part(image, corner, scale, rescale_face(face, scale, corner), fit.rescale(corner, scale))


def _bordered(matrix: NDArray[np.float64], border: int) -> NDArray[np.float64]:
    """Return the matrix to a view with a border of so many pixels."""
    return np.asarray(matrix + np.array([[0, 0, border], [0, 0, border]]))


def render_view(inputs: ViewInputs, size: int, border: int = 0) -> FrontalView:
    """Draw a frontal view.

    Args:
        inputs: from :func:`prepare_view`.
        size: side of the view with its border, pixels.
        border: pixels on each side; the square inside looks as without it.
    """
    triangles, mirror = head_triangles(back=False), head_mirror(back=False)
    raster = rasterize(inputs.view_xyz, triangles, (size, size))
    xy, visibility = inputs.texture_xy, inputs.visibility
    values = raster.interpolate(triangles, np.column_stack([xy, xy[mirror], visibility, visibility[mirror]]))
    own, mirrored = (sample_bilinear(inputs.texture, values[..., first : first + 2]) for first in (0, 2))
    visible, visible_mirrored = values[..., 4], values[..., 5]
    mirrored = _match_lighting(mirrored, visible_mirrored, own, visible, size - 2 * border)

    share = np.clip(0.5 + (visible - visible_mirrored + inputs.own_margin) / (2 * BLEND_HALF_WIDTH), 0, 1)
    share = cv2.GaussianBlur(share.astype(np.float32), (0, 0), (size - 2 * border) / 80)[..., None]
    inside = (raster.triangle >= 0).astype(np.float32)
    head = (inside * np.clip(2 * cv2.GaussianBlur(inside, (0, 0), RIM_BLUR) - 1, 0, 1))[..., None]
    unmirrored = own * head + inputs.background * (1 - head)
    image = unmirrored + (mirrored - own) * ((1 - share) * head)
    images = _to_levels(image), _to_levels(unmirrored)
    remove_spots(images, inputs.view_xyz, inputs.visibility, size - 2 * border)
    return FrontalView(images[0], visible * inside, images[1])


def _to_levels(image: FloatImage) -> Image:
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _view_reach(matrix: NDArray[np.float64], size: int) -> float:
    """Return the largest distance from the head's pivot that a view shows, head coordinates."""
    corners = np.array([[x, y] for x in (-0.5, size - 0.5) for y in (-0.5, size - 0.5)])
    return float(np.linalg.norm((corners - matrix[:, 2]) / matrix_scale(matrix) - PIVOT[:2], axis=1).max())


def _place(part: Image, photo: Image, shift: Points, zoom: float) -> Image:
    """Draw a part of a photo, resized, over it: pixel edges at ``xy`` of the part come to ``xy * zoom + shift``."""
    matrix = np.column_stack([np.eye(2) * zoom, shift + 0.5 * zoom - 0.5])
    height, width = photo.shape[:2]
    placed = photo.copy()
    cv2.warpAffine(part, matrix, (width, height), dst=placed, borderMode=cv2.BORDER_TRANSPARENT)
    return placed


def _to_view(head: Points, matrix: NDArray[np.float64]) -> Points:
    """Map (V, 3) head coordinates to pixels of the view, z on the same scale."""
    return np.column_stack([head[:, :2] @ matrix[:, :2].T + matrix[:, 2], head[:, 2] * matrix_scale(matrix)])


def _find_person(part: _Part) -> tuple[Mask | None, bool]:
    """Return the person's mask, (H, W) 0 to 1, and whether the face's profile is its contour.

    The mask is that of the first method that succeeds; None if none does.
    """
    photo, landmarks, fit = part.image, part.face.landmarks[:SKIN], part.fit
    probability = person_probability(photo, landmarks)
    in_profile = is_profile(landmarks[:, :2], fit, probability)
    if in_profile and (mask := head_outline_mask(photo, landmarks[:, :2], fit, probability)) is not None:
        return mask, True
    if covers_face(probability, landmarks):
        return probability, in_profile
    return (mesh_profile_mask(landmarks[:, :2], fit, photo.shape[:2]), True) if in_profile else (None, False)


def _remove_background(part: _Part, person: Mask | None, in_profile: bool) -> Image:
    """Replace all pixels outside the person by the person's nearest pixels; in a profile, backlit skin too.

    After this, a vertex that lies beside the contour gets a color of skin or hair and never one of the background.

    Args:
        part: of the photo.
        person: (H, W) 0 to 1, or None, which leaves the photo unchanged.
        in_profile: whether the face's profile is its contour.
    """
    if person is not None and in_profile:
        person = remove_backlight(part.image, person, part.face.landmarks[:SKIN, :2], part.fit)
    return extend_person_colors(part.image, person, CONTOUR_MARGIN * part.fit.scale)


def _vertex_visibility(fit: Fit, head: Points) -> NDArray[np.float64]:
    """Return how well the photo shows each vertex, (V,): 1 facing the camera, 0 at a right angle or hidden."""
    triangles = head_triangles(back=False)
    turned = head @ fit.rotation.T
    low = turned[:, :2].min(axis=0)
    points = np.column_stack([(turned[:, :2] - low) * _DEPTH_MAP_SCALE, turned[:, 2]])
    width, height = np.ceil(points[:, :2].max(axis=0)).astype(int) + 1
    depth = rasterize(points.astype(np.float32), triangles, (int(width), int(height))).depth
    column, row = points[:, :2].round().astype(int).T
    front = np.where(np.isfinite(depth[row, column]), depth[row, column], points[:, 2])
    in_sight = np.clip((HIDDEN_FULLY - (points[:, 2] - front)) / (HIDDEN_FULLY - HIDDEN_FROM), 0, 1)
    return np.asarray(np.clip(-normals(turned, triangles)[:, 2], 0, 1) * in_sight)


def _match_lighting(
    mirrored: FloatImage, visible_mirrored: FloatImage, own: FloatImage, visible: FloatImage, side: int
) -> FloatImage:
    """Return the mirror image with the low-frequency brightness of the original, as far as the original is visible.

    Args:
        mirrored: (S, S, 3), the texture mirrored.
        visible_mirrored: (S, S) its visibility.
        own: (S, S, 3), the texture as it is.
        visible: (S, S) its visibility.
        side: of the square without the border, pixels.
    """
    size = (len(own), len(own))
    coarse = (max(8, len(own) // 4),) * 2  # enough for low frequencies
    deviation = 0.12 * coarse[0] * (side / len(own))

    def blur(image: FloatImage) -> FloatImage:
        blurred = cv2.GaussianBlur(cv2.resize(image, coarse, interpolation=cv2.INTER_AREA), (0, 0), deviation)
        return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_LINEAR), np.float32)

    weights = visible**2 + 1e-3, visible_mirrored**2 + 1e-3
    light, light_mirrored = (
        blur(image * weight[..., None]) / blur(weight)[..., None]
        for image, weight in zip((own, mirrored), weights, strict=True)
    )
    return np.asarray(mirrored + (light - light_mirrored) * np.clip(blur(visible), 0, 1)[..., None])
