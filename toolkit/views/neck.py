"""Beside the jaw of a frontal view: the background, where the photo shows the side of the neck.

A turned head shows its neck from the side, where it is wider than from the front.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.head_mesh import FACE_HALF_BREADTH, face_oval
from toolkit.geometry.affine import matrix_scale
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.types import Image
from toolkit.views.inpaint import inpaint_smooth
from toolkit.views.segmentation import CERTAIN_BACKGROUND, Mask
from toolkit.views.surroundings import Frame, mix, sample_photo, still_positions, turned_share

Points = NDArray[np.float64]
FloatImage = NDArray[np.float32]

# Half the width of jaw and neck by height, head coordinates: the median of 76 frontal photos of 38 people of the London
# Set, as the person network segments them. Farther up are the ears, farther down the shoulders.
HEIGHTS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
HALF_WIDTHS = (0.7, 0.59, 0.56, 0.54, 0.52, 0.52, 0.53, 0.55, 0.67, 0.89, 1.11)
EDGE = 0.03  # head coordinates: half the width of the transition to the background
# In OpenCV's 8-bit CIELAB: differences in lightness and colors that are one step from the face's median. The chin's
# shadow falls on the neck, so lightness may differ more; hair and clothes have other colors.
SKIN_STEP = np.array([40.0, 6.0, 7.0])
SKIN_STEPS = (1.5, 2.5)  # up to the first a pixel is skin, from the second it is not
MIN_BACKGROUND = 0.02  # share of the photo that certainly shows the background; with less there is nothing to draw
_FILL_SIZE = 96  # pixels: sides of the image in which the background behind the person is filled


def uncover_beside_neck(
    view: Image, photo: Image, person: Mask, photo_xy: Points, view_xy: Points, frame: Frame
) -> Image:
    """Draw the background over the skin beside a frontal neck.

    Args:
        view: (S, S, 3) RGB uint8, from :func:`toolkit.views.surroundings.surroundings`.
        photo: (H, W, 3) RGB uint8.
        person: (H, W) 0 to 1, of the photo.
        photo_xy: (V, 2) pixels of the photo: where it has the vertices of the head.
        view_xy: (V, 2) pixels of the view: where it has them.
        frame: of the view.

    Returns:
        (S, S, 3); the view itself if the photo shows no background.
    """
    rows, beside = _beside_neck(frame, np.ptp(view_xy[face_oval(), 0]))
    if not beside.any() or (background := _without_person(photo, person)) is None:
        return view
    skin = _skin_share(view[rows], _median_color(photo, photo_xy[:SKIN]))
    x, y = np.meshgrid(np.arange(frame.size), np.arange(frame.size)[rows])
    x, y = np.moveaxis(still_positions(np.stack([x, y], axis=2), frame).astype(np.float32), 2, 0)
    drawn = view.copy()
    drawn[rows] = mix(view[rows], sample_photo(background, x, y), turned_share(frame.fit) * beside * skin)
    return drawn


def _beside_neck(frame: Frame, breadth: float) -> tuple[slice, FloatImage]:
    """Return the rows from the lobes of the ears to the shoulders, and (rows, size): 1 beside the neck, 0 on it.

    Args:
        frame: of the view.
        breadth: of the face in it, pixels.
    """
    unit = matrix_scale(frame.head_to_view)
    x, y = ((np.arange(frame.size) - offset) / unit for offset in frame.head_to_view[:, 2])
    top, bottom = np.searchsorted(y, [HEIGHTS[0], HEIGHTS[-1]])
    half = np.interp(y[top:bottom], HEIGHTS, HALF_WIDTHS) * (breadth / unit / (2 * FACE_HALF_BREADTH))
    beside = np.clip((np.abs(x) - half[:, None]) / (2 * EDGE) + 0.5, 0, 1)
    return slice(int(top), int(bottom)), np.asarray(beside, np.float32)


def _without_person(photo: Image, person: Mask) -> Image | None:
    """Return a photo with a smooth blend of the background in the person's place; None if it shows no background.

    Args:
        photo: (H, W, 3) RGB uint8.
        person: (H, W) 0 to 1.
    """
    size = (_FILL_SIZE, _FILL_SIZE)
    background = cv2.resize(person, size, interpolation=cv2.INTER_AREA) < CERTAIN_BACKGROUND
    # Eroded, because at the contour the colors of person and background mix.
    known = cv2.erode(background.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if known.mean() < MIN_BACKGROUND:
        return None
    small = np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)
    height, width = person.shape
    filled, share = (
        np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
        for part in (inpaint_smooth(small, known), known.astype(np.float32))
    )
    return mix(np.asarray(np.round(filled), np.uint8), photo, share)


def _skin_share(image: Image, face_color: NDArray[np.float64]) -> FloatImage:
    """Return (H, W): 1 where an image, (H, W, 3), has the color of the face, 0 where it has another."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32)
    steps = np.linalg.norm((lab - face_color) / SKIN_STEP, axis=2)
    return np.asarray(np.clip((SKIN_STEPS[1] - steps) / (SKIN_STEPS[1] - SKIN_STEPS[0]), 0, 1), np.float32)


def _median_color(photo: Image, xy: Points) -> NDArray[np.float64]:
    """Return the median color of a photo at (N, 2) pixels, (3,) in OpenCV's 8-bit CIELAB."""
    height, width = photo.shape[:2]
    x, y = np.clip(xy.round().astype(int).T, 0, [[width - 1], [height - 1]])
    return np.asarray(np.median(cv2.cvtColor(photo[y, x][None], cv2.COLOR_RGB2LAB)[0], axis=0))
