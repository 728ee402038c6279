"""Backlight on a profile: a thin bright line along the face's contour in the photo.

The contour of a profile becomes the middle of the frontal view, where that line would show as a bright stripe on lip
and chin. The nose is left as it is: a bright line there is most often the lit nose itself, and without it people are
harder to recognize.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.photos.types import Image
from toolkit.views.profile_contour import profile_axes
from toolkit.views.segmentation import CERTAIN_PERSON, Mask

EDGE_WIDTH = 0.06  # head coordinates: greatest width of the bright line
REFERENCE_DISTANCE = 0.12  # head coordinates: distance behind a pixel at which the skin has its usual brightness
REFERENCE_BLUR = 0.03  # head coordinates: standard deviation of the blur over that skin, so that no single pore counts
MIN_GAIN = 45.0  # gray levels of 255 by which backlit skin is brighter than the skin behind it
NOSE_BASE, UPPER_LIP, LOWER_LIP = (
    2,
    0,
    17,
)  # vertices of the mesh; between the lips nothing is removed: teeth are bright


def remove_backlight(photo: Image, mask: Mask, mesh: NDArray[np.float64], fit: Fit) -> Mask:
    """Remove backlit skin from the mask of a turned person: between nose and upper lip, and below the lips.

    Args:
        photo: (H, W, 3) RGB uint8.
        mask: (H, W) 0 to 1, of the person.
        mesh: (468, 2 or more) pixels.
        fit: of that mesh, the head in profile: :func:`toolkit.views.head_outline.is_profile`.

    Returns:
        (H, W) 0 to 1.
    """
    ahead, down = profile_axes(fit)
    inside = np.asarray(mask > CERTAIN_PERSON, np.float32)
    gray = np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.float32)
    skin = _shift(_masked_blur(gray, inside, REFERENCE_BLUR * fit.scale), -REFERENCE_DISTANCE * fit.scale * ahead)
    at_edge = _shift(inside, EDGE_WIDTH * fit.scale * ahead) < 0.5
    backlit = at_edge & (gray - skin > MIN_GAIN) & _lip_and_chin(mesh[:, :2] @ down, down, mask.shape)
    return np.where(cv2.dilate(backlit.astype(np.uint8), np.ones((3, 3))) > 0, np.float32(0), mask)


def _lip_and_chin(heights: NDArray[np.float64], down: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return (H, W): the skin between nose and upper lip, and everything below the lips.

    Args:
        heights: (468,) position of each vertex along ``down``, pixels.
        down: (2,) unit vector down along the face.
        shape: (H, W).
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    height = x * down[0] + y * down[1]
    nose, upper, lower = heights[[NOSE_BASE, UPPER_LIP, LOWER_LIP]]
    return np.asarray(((height > nose) & (height < upper)) | (height > lower))


def _masked_blur(image: NDArray[np.float32], inside: Mask, sigma: float) -> NDArray[np.float32]:
    """Return (H, W): a Gaussian blur over the pixels inside the mask only."""
    total, weight = (cv2.GaussianBlur(each, (0, 0), max(sigma, 0.3)) for each in (image * inside, inside))
    return np.asarray(total / np.maximum(weight, 1e-3), np.float32)


def _shift(image: NDArray[np.float32], offset: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (H, W): at each pixel the value ``offset``, (2,) pixels, away from it."""
    matrix = np.column_stack([np.eye(2), offset])
    size, flags = image.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)
