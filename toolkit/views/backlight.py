"""Light from behind on the contour of a turned head: a line on the photo, a shining chin in the frontal view.

The contour is the middle of that view. Of the nose it is left alone: what shines there is most often the nose itself,
and people are harder to recognise without it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.views.profile_contour import sideways
from toolkit.views.segmentation import CERTAIN, Mask

Photo = NDArray[np.uint8]
Points = NDArray[np.float64]
Map = NDArray[np.float32]
RIM, WITHIN = 0.06, 0.12  # head coordinates: how wide such a line is, and how far behind it skin is as the light has it
SOFT = 0.03  # head coordinates, deviation of the blur over that skin: one pore does not tell
BRIGHTER = 45.0  # levels of 255
NOSE_BASE, UPPER_LIP, LOWER_LIP = 2, 0, 17  # of the mesh; lips between the two are left alone: teeth shine, too


def without_rim(photo: Photo, mask: Mask, mesh: Points, fit: Fit) -> Mask:
    """Take from a turned person's mask what light from behind falls on, between nose and lip and below the lips.

    Args:
        photo: (H, W, 3) RGB uint8.
        mask: (H, W) 0 to 1, of the person.
        mesh: (468, 2 or more) pixels.
        fit: of that mesh, its head turned by 30 degrees or more.

    Returns:
        (H, W) 0 to 1.
    """
    ahead, down = sideways(fit)
    inside = np.asarray(mask > CERTAIN, np.float32)
    bright = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.float32)
    skin = _shifted(_mean_inside(bright, inside, SOFT * fit.scale), -WITHIN * fit.scale * ahead)
    near = _shifted(inside, RIM * fit.scale * ahead) < 0.5
    lit = near & (bright - skin > BRIGHTER) & _below_nose(mesh[:, :2] @ down, down, mask.shape)
    return np.where(cv2.dilate(lit.astype(np.uint8), np.ones((3, 3))) > 0, np.float32(0), mask)


def _below_nose(heights: Points, down: Points, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W): the upper lip's skin, and all below the lips."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    height = x * down[0] + y * down[1]
    nose, upper, lower = heights[[NOSE_BASE, UPPER_LIP, LOWER_LIP]]
    return np.asarray(((height > nose) & (height < upper)) | (height > lower))


def _mean_inside(image: Map, inside: Map, deviation: float) -> Map:
    """(H, W) blurred, from what is inside alone."""
    total, weight = (cv2.GaussianBlur(each, (0, 0), max(deviation, 0.3)) for each in (image * inside, inside))
    return np.asarray(total / np.maximum(weight, 1e-3), np.float32)


def _shifted(image: Map, by: Points) -> Map:
    """(H, W): at each pixel what lies so far on, (2,) pixels."""
    there = np.column_stack([np.eye(2), by])
    size, flags = image.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, there, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)
