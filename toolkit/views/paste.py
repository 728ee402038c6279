"""Paste a frontal view back into its photo.

A turned head has another outline than a frontal one: a view that only covers the old face leaves half a jaw or a
second ear beside it. So the photo is warped too (:mod:`toolkit.views.photo_warp`). Where the photo shows the face
well, the warped photo stays, with fine detail that a small view does not have. The side that the photo hides, with hair
and ear, comes from the view alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.faces.frontal_shape import frontal_shape
from toolkit.faces.head_mesh import face_oval
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.affine import matrix_scale
from toolkit.geometry.crop import crop_matrix
from toolkit.geometry.head_pose import head_pose
from toolkit.geometry.rasterizer import rasterize
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view
from toolkit.views.photo_warp import PhotoWarp, find_photo_warp, head_outline_vertices, photo_warp_triangles, smoothstep

Points = NDArray[np.float64]
FloatImage = NDArray[np.float32]

# Shares of the side of the view's square, without the border.
BORDER = 0.4  # border around the square: it shows forehead, temples and ears
FACE_FEATHER, HEAD_FEATHER = (
    0.12,
    0.015,
)  # width of the transition inside the face's oval, and inside the head's outline
MASK_BLUR = 0.0125  # standard deviation of the blur between photo and view

HIDDEN_FROM, HIDDEN_FULLY = 0.08, 0.16  # visibility less than its mirror image's: from here the view counts, then alone
MIN_TURN = 10.0  # degrees from which a refined face is pasted in full; a face turned less keeps the photo's pixels
FULL_DETAIL_VISIBILITY = 0.3  # from here on the photo's detail is added in full
DETAIL_BLUR = 0.55  # pixels of the view: standard deviation of the blur that separates detail from the rest
MAX_MAP_SIDE = 256  # pixels: resolution of the warp's maps, which vary slowly
BAND_ROWS = 128  # rows that are pasted at a time, so that memory does not grow with the face


@dataclass(frozen=True, slots=True)
class PasteableView:
    """A frontal view with a border, and what is needed to paste it into its photo."""

    image: Image  # (S, S, 3) RGB: the square of the chin template and a border around it
    mask: NDArray[np.uint8]  # (S, S) visibility, 0 to 255: how well the photo shows each pixel
    unmirrored: Image  # (S, S, 3) RGB: the view without mirroring
    border: int  # pixels
    scale: float  # pixels of the view per pixel of the photo
    warp: PhotoWarp
    view_xy: Points  # (V, 2) pixels of the view: where it shows the vertices of the warp
    turn: float  # degrees between the face in the photo and the camera
    refined: bool = False  # a network has refined the view

    @property
    def network_inputs(self) -> tuple[Image, NDArray[np.uint8], Image]:
        """View, visibility and unmirrored view, without the border, as a network refines them."""
        square = slice(self.border, len(self.image) - self.border)
        return self.image[square, square], self.mask[square, square], self.unmirrored[square, square]

    def with_refined(self, face: Image) -> "PasteableView":
        """Return a copy with the refined face, as large as the network's input; it fades out towards the edges."""
        return replace(self, image=blend_refined(self.image, face, self.border), refined=True)


def blend_refined(view: Image, face: Image, border: int) -> Image:
    """Return a view with its refined square, which fades out towards the square's edges.

    Args:
        view: (S, S, 3) RGB, with a border around the square of the chin template.
        face: (S - 2 border, S - 2 border, 3) RGB, the refined square.
        border: pixels.
    """
    square, inside = slice(border, len(view) - border), np.ones(face.shape[:2], np.uint8)
    share = _smoothstep(_distance_inside(inside) / (FACE_FEATHER * len(face)))[..., None]
    image = view.copy()
    image[square, square] = np.round(face * share + image[square, square] * (1 - share))
    return image


def prepare_paste(photo: Image, face: Face, size: int) -> PasteableView:
    """Compute a frontal view with a border, and the warp that makes room for it.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: from a :class:`toolkit.landmarks.protocols.Landmarker`.
        size: side of the chin template's square, pixels.

    Raises:
        PhotoRejected: ``bad-mesh``, the landmarks are degenerate.
    """
    border = round(BORDER * size)
    view = frontal_view(photo, face, size, border=border)
    warp = find_photo_warp(photo, face)
    matrix = crop_matrix(frontal_shape(fit_shape(face.landmarks)), size)
    return PasteableView(
        image=view.image,
        mask=view.mask,
        unmirrored=view.unmirrored,
        border=border,
        scale=matrix_scale(crop_matrix(face.landmarks, size)),
        warp=warp,
        view_xy=warp.head_xyz[:, :2] @ matrix[:, :2].T + matrix[:, 2] + border,
        turn=head_pose(face.landmarks).turn,
    )


def paste(photo: Image, views: Sequence[PasteableView]) -> Image:
    """Paste frontal views into their photo, one after the other.

    Args:
        photo: (H, W, 3) RGB uint8, at full size.
        views: of its faces, from :func:`prepare_paste`, refined or not.

    Returns:
        A copy of the photo. Away from the heads no pixel changes.
    """
    pasted = photo.copy()
    for view in views:
        _paste_into(pasted, view)
    return pasted


def _paste_into(photo: Image, view: PasteableView) -> None:
    """Paste one view; changes ``photo``."""
    vertices = np.concatenate([view.warp.target_xy, view.warp.source_xy])
    photo_size = photo.shape[1::-1]
    low = np.clip(np.floor(vertices.min(axis=0)).astype(int) - 2, 0, photo_size)
    size = np.clip(np.ceil(vertices.max(axis=0)).astype(int) + 3, 0, photo_size) - low
    if size.min() < 2:  # the mesh lies outside the photo
        return
    part = photo[low[1] : low[1] + size[1], low[0] : low[0] + size[0]]
    own = part.copy()
    blurred = np.asarray(cv2.GaussianBlur(own, (0, 0), DETAIL_BLUR / min(view.scale, 1.0)), np.uint8)
    image, masks = view.image, _view_masks(view)
    if view.scale > 1:  # averaged first, because sampling single pixels of a larger view would alias
        smaller = (max(2, round(len(image) / view.scale)),) * 2
        image = np.asarray(cv2.resize(image, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        masks = np.asarray(cv2.resize(masks, smaller, interpolation=cv2.INTER_AREA), np.float32)
    maps = _warp_maps(view, low, size, len(image) / len(view.image))
    for top in range(0, len(part), BAND_ROWS):
        x, y, view_x, view_y, known = _enlarge_band(maps, top, size)
        warped, warped_blurred = (_sample_bicubic(each, x, y) for each in (own, blurred))
        face = _sample_bicubic(image, view_x, view_y)
        shares = cv2.remap(masks, view_x, view_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        share, detail = np.split(shares * (known > 0.99)[..., None], 2, axis=2)
        mixed = warped + (face + (warped - warped_blurred) * detail - warped) * share
        part[top : top + BAND_ROWS] = np.clip(np.round(mixed), 0, 255)


def _sample_bicubic(image: Image, x: FloatImage, y: FloatImage) -> FloatImage:
    """Return (h, w, 3) float32 at (h, w) positions; exact at whole pixels, so that what does not move is unchanged."""
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _view_masks(view: PasteableView) -> FloatImage:
    """Return (S, S, 2), 0 to 1: the view's share of the result, and the share of the photo's detail added to it."""
    side = len(view.image) - 2 * view.border
    face, head = (
        _distance_inside(_fill_polygon(view.view_xy[outline], len(view.image))) / side
        for outline in (face_oval(), head_outline_vertices())
    )
    visible = view.mask.astype(np.float32) / 255
    hidden = np.clip((visible[:, ::-1] - visible - HIDDEN_FROM) / (HIDDEN_FULLY - HIDDEN_FROM), 0, 1)
    hidden = np.asarray(cv2.GaussianBlur(hidden, (0, 0), MASK_BLUR * side), np.float32)
    share = hidden * np.clip(head / HEAD_FEATHER, 0, 1)
    if view.refined and view.turn > MIN_TURN:
        share = np.maximum(share, _smoothstep(np.asarray(face / FACE_FEATHER, np.float32)))
    return np.stack([share, np.clip(visible / FULL_DETAIL_VISIBILITY, 0, 1) * (1 - hidden)], axis=2)


def _fill_polygon(outline: Points, size: int) -> NDArray[np.uint8]:
    """Return (size, size): 1 inside a closed outline, (N, 2) pixels."""
    filled = np.zeros((size, size), np.uint8)
    cv2.fillPoly(filled, [np.round(outline * 16).astype(np.int32)], (1,), shift=4)
    return filled


def _distance_inside(mask: NDArray[np.uint8]) -> FloatImage:
    """Return (S, S) pixels: the distance of each one from the nearest zero; outside of the mask is zero too."""
    return np.asarray(cv2.distanceTransform(np.pad(mask, 1), cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def _smoothstep(share: FloatImage) -> FloatImage:
    return np.asarray(smoothstep(np.clip(share, 0, 1)), np.float32)


def _warp_maps(
    view: PasteableView, low: NDArray[np.intp], size: NDArray[np.intp], view_scale: float
) -> list[FloatImage]:
    """Return five maps of a part of the photo, at a low resolution.

    Args:
        view: whose warp is drawn.
        low: (2,) top left corner of the part, pixels of the photo.
        size: (2,) width and height of the part, pixels of the photo.
        view_scale: of the view as it is sampled.

    Returns:
        Offsets x and y into the photo; x and y in the view; 1 where these are known, else 0.
    """
    warp, triangles = view.warp, photo_warp_triangles()
    map_size = np.maximum(2, np.round(size * np.minimum(1.0, MAX_MAP_SIDE / size))).astype(int)
    points = (warp.target_xy - low + 0.5) * (map_size / size) - 0.5
    vertices = np.asarray(np.column_stack([points, warp.head_xyz[:, 2]]), np.float32)
    raster = rasterize(vertices, triangles, (int(map_size[0]), int(map_size[1])))
    view_xy = (view.view_xy + 0.5) * view_scale - 0.5
    values = np.column_stack([warp.source_xy - warp.target_xy, view_xy, np.ones(len(points))]).astype(np.float32)
    x, y, *rest = (np.ascontiguousarray(each) for each in np.moveaxis(raster.interpolate(triangles, values), 2, 0))
    # Where one part of the head covers another the offsets jump: without the blur the low resolution would show there.
    return [*(np.asarray(cv2.GaussianBlur(each, (0, 0), 1.5), np.float32) for each in (x, y)), *rest]


def _enlarge_band(maps: list[FloatImage], top: int, size: NDArray[np.intp]) -> list[FloatImage]:
    """Return the rows from ``top`` on at full resolution, at most (BAND_ROWS, W) each.

    They are x and y in the part of the photo, x and y in the view, and whether these are known.
    """
    rows = np.arange(top, min(top + BAND_ROWS, int(size[1])), dtype=np.float32)
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), rows)
    scale_x, scale_y = np.array(maps[0].shape[::-1], np.float32) / size.astype(np.float32)
    map_x, map_y = (x + 0.5) * scale_x - 0.5, (y + 0.5) * scale_y - 0.5
    large = [cv2.remap(each, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for each in maps]
    return [np.asarray(each, np.float32) for each in (x + large[0], y + large[1], *large[2:])]
