"""Views of a photo in which a face search is repeated: padded, flipped, rotated, tiled.

A view is an image made from the photo and the matrix that maps its points back to the photo.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.geometry.affine import compose
from toolkit.geometry.mesh_topology import MIRROR
from toolkit.photos.types import Image

MIN_TILE = 200  # pixels: smaller tiles hold no face that is large enough for a crop


@dataclass(frozen=True, slots=True)
class SearchView:
    """An image derived from a photo."""

    name: str  # stored in the ledger as the pass that found the face
    image: Image  # (H, W, 3) RGB
    to_photo: NDArray[np.float64]  # (2, 3), view -> photo


def original_view(photo: Image) -> SearchView:
    """Return the photo unchanged, as a view."""
    return SearchView("plain", photo, np.eye(2, 3))


def face_to_photo(face: Face, view: SearchView) -> Face:
    """Map a face found in a view to the photo; ``found_by`` joins the names of the view and of the face's own pass."""
    (a, b, right), (c, d, low) = view.to_photo.tolist()
    determinant = a * d - b * c
    points = face.landmarks if determinant > 0 else face.landmarks[MIRROR]
    landmarks = np.empty_like(points)
    landmarks[:, 0] = a * points[:, 0] + b * points[:, 1] + right
    landmarks[:, 1] = c * points[:, 0] + d * points[:, 1] + low
    landmarks[:, 2] = math.sqrt(abs(determinant)) * points[:, 2]
    names = [name for name in (view.name, face.found_by) if name != "plain"]
    return Face(landmarks, face.score, face.presence, "+".join(dict.fromkeys(names)) or "plain")


def canonical_flip(view: SearchView) -> SearchView:
    """Flip a view horizontally if its left half is brighter than its right half, in a band across the middle.

    A photo and its mirror image give the same view. The networks treat left and right slightly
    differently (1 % of a crop); this makes the result the same for both.
    """
    height, width = view.image.shape[:2]
    band = view.image[max(0, height // 2 - 16) : height // 2 + 16]
    left, right = band[:, : width // 2], band[:, width - width // 2 :]
    if width < 2 or sum(cv2.mean(right)) >= sum(cv2.mean(left)):
        return view
    return flipped(view)


def flipped(view: SearchView, name: str | None = None) -> SearchView:
    """Flip a view horizontally: some profiles are detected on one side only."""
    flip = np.array([[-1.0, 0, view.image.shape[1] - 1], [0, 1, 0]])
    return SearchView(name or view.name, np.asarray(cv2.flip(view.image, 1), np.uint8), compose(view.to_photo, flip))


def padded_view(photo: Image) -> SearchView:
    """Add a border of half the photo's size on each side: detectors are trained on faces with space around them."""
    down, across = photo.shape[0] // 2, photo.shape[1] // 2
    bordered = cv2.copyMakeBorder(photo, down, down, across, across, cv2.BORDER_REPLICATE)
    return SearchView("padded", np.asarray(bordered, np.uint8), _translation(-across, -down))


def rotated_views(photo: Image) -> Iterator[SearchView]:
    """Rotate by 90, 180 and 270 degrees, for scans and for phone photos without an EXIF orientation."""
    right, low = photo.shape[1] - 1, photo.shape[0] - 1
    to_photo = ([[0, -1, right], [1, 0, 0]], [[-1, 0, right], [0, -1, low]], [[0, 1, 0], [-1, 0, low]])
    for quarters, matrix in enumerate(to_photo, start=1):
        yield SearchView(f"rotated-{quarters * 90}", np.rot90(photo, quarters), np.array(matrix, np.float64))


def tile_views(photo: Image) -> Iterator[SearchView]:
    """Cut overlapping tiles of half and a quarter of each side: detectors miss faces below a tenth of the image."""
    for divisor in (2, 4):
        height, width = photo.shape[0] // divisor, photo.shape[1] // divisor
        if min(height, width) < MIN_TILE:
            return
        for top in np.linspace(0, photo.shape[0] - height, 2 * divisor - 1).astype(int):
            for left in np.linspace(0, photo.shape[1] - width, 2 * divisor - 1).astype(int):
                yield SearchView("tile", photo[top : top + height, left : left + width], _translation(left, top))


def view_around(photo: Image, name: str, x: float, y: float, side: float) -> SearchView:
    """Cut out a square around a face-sized square, with a margin of half its side on each side.

    Args:
        photo: (H, W, 3) RGB uint8; beyond its edge the border pixels are repeated.
        name: of the view.
        x, y: center, pixels.
        side: of the face-sized square, pixels.
    """
    half = max(1, round(side))
    left, top = round(x) - half, round(y) - half
    right, low = left + 2 * half, top + 2 * half
    height, width = photo.shape[:2]
    inside = photo[max(top, 0) : min(low, height), max(left, 0) : min(right, width)]
    borders = (max(-top, 0), max(low - height, 0), max(-left, 0), max(right - width, 0))
    image = np.asarray(cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE), np.uint8)
    return SearchView(name, image, _translation(left, top))


def _translation(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
