"""A frontal view put back into its photo: the face from the view, around it the photo's own pixels, moved to meet it.

A turned head has another outline than a frontal one: a view that is merely laid over it leaves half a jaw or a second
ear beside itself. So the photo moves too (`toolkit.views.photo_warp`). Where it showed the face well, its fine detail
stays, which no view of few pixels holds. The side that it hid comes from the view alone, hair and ear with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.faces.head_mesh import oval
from toolkit.faces.shape_model import fit_shape
from toolkit.geometry.affine import magnification
from toolkit.geometry.crop import crop_matrix
from toolkit.geometry.head_pose import head_pose
from toolkit.geometry.rasterizer import rasterize
from toolkit.views.frontal import frontal_view
from toolkit.views.photo_warp import Movement, head_rim, movement, movement_triangles

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]
Map = NDArray[np.float32]
BORDER = 0.4  # of the view's side, around it: forehead, temples and ears lie there
FEATHER, EDGE = 0.12, 0.015  # of the side: how far inside the face's outline, and the head's, the view alone is seen
HIDDEN, HIDDEN_FULLY = 0.08, 0.16  # so much less visible than its mirror image a place is the view's, in part and alone
TURNED = 10.0  # degrees from which a refined face is shown whole; one that looks at the camera stays the photo's own
SOFT = 0.0125  # of the side: deviation of the blur between the two
SHOWN = 0.3  # visibility from which the photo's detail counts in full
DETAIL = 0.55  # deviation of the blur that parts detail from what a view holds, pixels of the view
COARSE = 256  # pixels, the side at which movements are computed: they vary slowly
BAND = 128  # rows that are pasted at once: memory does not grow with the face


@dataclass(frozen=True, slots=True)
class Patch:
    """A frontal view with what is around it, and what it takes to put it back."""

    view: Photo  # (S, S, 3) RGB: the chin template's square, and a border around it
    visible: NDArray[np.uint8]  # (S, S) how well the photo showed each pixel's place, 0 to 255
    border: int  # pixels
    finer: float  # pixels of the view per pixel of the photo
    movement: Movement
    in_view: Points  # (V, 2) where the view shows its vertices, pixels
    turn: float  # degrees by which the photo's face is turned
    refined: bool = False  # the view holds more than the photo's own pixels, moved

    @property
    def square(self) -> tuple[Photo, NDArray[np.uint8]]:
        """View and visibility without the border: what a network refines."""
        inner = slice(self.border, len(self.view) - self.border)
        return self.view[inner, inner], self.visible[inner, inner]

    def with_square(self, face: Photo) -> "Patch":
        """The same with another face in the square, as large as that, RGB; it fades out towards the edges."""
        inner, whole = slice(self.border, len(self.view) - self.border), np.ones(face.shape[:2], np.uint8)
        share = _smoothstep(_depth(whole) / (FEATHER * len(face)))[..., None]
        view = self.view.copy()
        view[inner, inner] = np.round(face * share + view[inner, inner] * (1 - share))
        return replace(self, view=view, refined=True)


def cut_patch(photo: Photo, face: Face, size: int) -> Patch:
    """Turn a face to the front, with what is around it.

    Args:
        photo: (H, W, 3) RGB uint8.
        face: as the landmarker found it.
        size: side of the chin template's square, pixels.

    Raises:
        PhotoRejected: ``bad-mesh``, the points span no frame.
    """
    border = round(BORDER * size)
    view, visible = frontal_view(photo, face, size, border=border)
    moved = movement(photo, face)
    matrix = crop_matrix(fit_shape(face.landmarks).shape, size)
    return Patch(
        view=view,
        visible=np.asarray(np.round(255 * visible), np.uint8),
        border=border,
        finer=magnification(crop_matrix(face.landmarks, size)),
        movement=moved,
        in_view=moved.head[:, :2] @ matrix[:, :2].T + matrix[:, 2] + border,
        turn=head_pose(face.landmarks).turn,
    )


def paste(photo: Photo, patches: Sequence[Patch]) -> Photo:
    """Put frontal views into the photo that they were made from, one after the other.

    Args:
        photo: (H, W, 3) RGB uint8, at full size.
        patches: of its faces, from :func:`cut_patch`, refined or not.

    Returns:
        A copy; at some distance from the heads every pixel is the photo's own.
    """
    pasted = photo.copy()
    for patch in patches:
        _paste_into(pasted, patch)
    return pasted


def _paste_into(photo: Photo, patch: Patch) -> None:
    both = np.concatenate([patch.movement.placed, patch.movement.source])
    edge = photo.shape[1::-1]
    low = np.clip(np.floor(both.min(axis=0)).astype(int) - 2, 0, edge)
    size = np.clip(np.ceil(both.max(axis=0)).astype(int) + 3, 0, edge) - low
    if size.min() < 2:  # the mesh lies beside the photo
        return
    part = photo[low[1] : low[1] + size[1], low[0] : low[0] + size[0]]
    own = part.copy()
    soft = np.asarray(cv2.GaussianBlur(own, (0, 0), DETAIL / min(patch.finer, 1.0)), np.uint8)
    view, masks = patch.view, _masks(patch)
    if patch.finer > 1:  # averaged first: single pixels of a finer view would alias
        smaller = (max(2, round(len(view) / patch.finer)),) * 2
        view = np.asarray(cv2.resize(view, smaller, interpolation=cv2.INTER_AREA), np.uint8)
        masks = np.asarray(cv2.resize(masks, smaller, interpolation=cv2.INTER_AREA), np.float32)
    maps = _maps(patch, low, size, len(view) / len(patch.view))
    for top in range(0, len(part), BAND):
        x, y, view_x, view_y, known = _enlarged(maps, top, size)
        around, smooth = (_look_up(each, x, y) for each in (own, soft))
        face = _look_up(view, view_x, view_y)
        shares = cv2.remap(masks, view_x, view_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        share, seen = np.split(shares * (known > 0.99)[..., None], 2, axis=2)
        mixed = around + (face + (around - smooth) * seen - around) * share
        part[top : top + BAND] = np.clip(np.round(mixed), 0, 255)


def _look_up(image: Photo, x: Map, y: Map) -> Map:
    """Exact where x and y are whole numbers: what does not move stays as it is."""
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _masks(patch: Patch) -> Map:
    """(S, S, 2) what share of the pasted photo is the view's, and how much of the photo's detail is laid over it."""
    side = len(patch.view) - 2 * patch.border
    face, head = (_depth(_filled(patch.in_view[rim], len(patch.view))) / side for rim in (oval(), head_rim()))
    visible = patch.visible.astype(np.float32) / 255
    hidden = np.clip((visible[:, ::-1] - visible - HIDDEN) / (HIDDEN_FULLY - HIDDEN), 0, 1)
    hidden = np.asarray(cv2.GaussianBlur(hidden, (0, 0), SOFT * side), np.float32)
    share = hidden * np.clip(head / EDGE, 0, 1)
    if patch.refined and patch.turn > TURNED:
        share = np.maximum(share, _smoothstep(face / FEATHER))
    return np.stack([share, np.clip(visible / SHOWN, 0, 1) * (1 - hidden)], axis=2)


def _filled(outline: Points, size: int) -> NDArray[np.uint8]:
    filled = np.zeros((size, size), np.uint8)
    cv2.fillPoly(filled, [np.round(outline * 16).astype(np.int32)], (1,), shift=4)
    return filled


def _depth(filled: NDArray[np.uint8]) -> Map:
    """(S, S) how many pixels deep inside the ones of a mask each lies; beyond the mask's own edge there are zeros."""
    return np.asarray(cv2.distanceTransform(np.pad(filled, 1), cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def _smoothstep(share: Map) -> Map:
    share = np.clip(share, 0, 1)
    return np.asarray(share * share * (3 - 2 * share))


def _maps(patch: Patch, low: NDArray[np.intp], size: NDArray[np.intp], shrunk: float) -> list[Map]:
    """Five coarse maps of a part of the photo: movement x, y; x, y in the view; 1 where they are known, else 0."""
    moved, triangles = patch.movement, movement_triangles()
    coarse = np.maximum(2, np.round(size * np.minimum(1.0, COARSE / size))).astype(int)
    points = (moved.placed - low + 0.5) * (coarse / size) - 0.5
    points = np.column_stack([points, moved.head[:, 2]]).astype(np.float32)
    seen = rasterize(points, triangles, (int(coarse[0]), int(coarse[1])))
    in_view = (patch.in_view + 0.5) * shrunk - 0.5
    values = np.column_stack([moved.source - moved.placed, in_view, np.ones(len(points))]).astype(np.float32)
    x, y, *rest = (np.ascontiguousarray(each) for each in np.moveaxis(seen.interpolate(triangles, values), 2, 0))
    # One part of a head can come to lie before another: without the blur the coarse pixels would show as stairs there.
    return [*(np.asarray(cv2.GaussianBlur(each, (0, 0), 1.5), np.float32) for each in (x, y)), *rest]


def _enlarged(maps: list[Map], top: int, size: NDArray[np.intp]) -> list[Map]:
    """A band, (BAND, W) or less each, at full size: x, y in the part; x, y in the view; whether that is known."""
    rows = np.arange(top, min(top + BAND, int(size[1])), dtype=np.float32)
    x, y = np.meshgrid(np.arange(size[0], dtype=np.float32), rows)
    across, down = np.array(maps[0].shape[::-1], np.float32) / size.astype(np.float32)
    large = [
        cv2.remap(
            each, (x + 0.5) * across - 0.5, (y + 0.5) * down - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for each in maps
    ]
    return [x + large[0], y + large[1], *(np.asarray(each, np.float32) for each in large[2:])]
