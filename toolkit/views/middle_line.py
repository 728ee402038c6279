"""The middle line of a view, which shows the contour of a profile: what gets in there that is no skin.

:func:`remove_backlight` removes a thin bright line along the contour from the person in the photo; it would show as a
bright stripe on lip and chin. The nose is left as it is: a bright line there is most often the lit nose itself, and
without it people are harder to recognize. :func:`remove_spots` removes from the view what is left of background and
lashes between the eyes, on the ridge of the nose, above the lips and on the chin.
"""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.shape_model import Fit
from toolkit.geometry.mesh_topology import CHIN, FOREHEAD, LOWER_LIP, NOSE_BASE, NOSE_TIP_FRONT, UPPER_LIP
from toolkit.photos.types import Image
from toolkit.views.profile_contour import profile_axes
from toolkit.views.segmentation import CERTAIN_PERSON, Mask

Values = NDArray[np.float32]
FloatImage = NDArray[np.float32]

EDGE_WIDTH = 0.06  # head coordinates: greatest width of the bright line
REFERENCE_DISTANCE = 0.12  # head coordinates: distance behind a pixel at which the skin has its usual brightness
REFERENCE_BLUR = 0.03  # head coordinates: standard deviation of the blur over that skin, so that no single pore counts
MIN_GAIN = 45.0  # gray levels of 255 by which backlit skin is brighter than the skin behind it
# Between the lips nothing is removed: teeth are bright.

NOSE_BRIDGE = [9, 8, 168, 6, 197]
STRETCHES = np.array([(FOREHEAD, UPPER_LIP), (LOWER_LIP, CHIN)])  # from where to where spots are searched: not on lips
# Mean visibility of the bridge at which spots are removed, not at all and in full: yaws of about 41 and 49 degrees. Of
# faces turned less the bridge is no contour, and what looks like a spot is one.
NO_SPOTS, ALL_SPOTS = 0.75, 0.65
SPOT_SIDE = 128  # pixels of a view's side at which spots are found
SPOT_REACH, SPOT_WINDOW = 6, 7  # of these: half the width of the strip; of the window whose median is the skin
NOSE_BASE_REACH, NOSE_BASE_CONTRAST = 3, 0.6  # from the nose's tip to its base: there are nostrils, and shadows
SPOT_MARGIN = 3  # of these: distance from the end of a stretch at which a spot is removed in full
SPOT_CONTRAST = (40.0, 65.0)  # gray levels of 255, in any channel: from no spot to a certain one


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


def remove_spots(images: tuple[Image, Image], view_xyz: NDArray[np.float32], visibility: Values, side: int) -> None:
    """Replace spots on the middle line by the colors beside them, in place: what differs from its row's median.

    Args:
        images: a view and the same without mirroring, (S, S, 3) RGB uint8 each. Spots are found in the first.
        view_xyz: (V, 3) pixels of the view: where each vertex is drawn.
        visibility: (V,) 0 to 1.
        side: of the square without the border, pixels.
    """
    turned = float(np.clip((NO_SPOTS - visibility[NOSE_BRIDGE].mean()) / (NO_SPOTS - ALL_SPOTS), 0, 1))
    if not turned:
        return
    size, coarse_size = len(images[0]), round(len(images[0]) * SPOT_SIDE / side)
    heights = view_xyz[:, 1] * (coarse_size / size)
    top, bottom = heights[STRETCHES].T[..., None]
    rows, middle = np.arange(max(int(top.min()), 0), min(int(bottom.max()) + 1, coarse_size)), (coarse_size - 1) / 2
    columns = np.arange(math.ceil(middle - SPOT_REACH), math.floor(middle + SPOT_REACH) + 1)
    if not rows.size:
        return
    coarse = cv2.resize(images[0], (coarse_size, coarse_size), interpolation=cv2.INTER_AREA)[rows[0] : rows[-1] + 1]
    around = coarse[:, columns[0] - SPOT_WINDOW : columns[-1] + SPOT_WINDOW + 1]
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * SPOT_WINDOW + 1, axis=1)
    skin = np.partition(windows, SPOT_WINDOW, axis=3)[..., SPOT_WINDOW].astype(np.float32)
    tip, base = heights[[NOSE_TIP_FRONT, NOSE_BASE]].tolist()
    on_base = (rows > tip) & (rows < base)
    skin[on_base] = _between_rows(skin, rows[on_base], rows[0], (tip, base))  # the median would be that of the nostrils
    contrast = np.abs(coarse[:, columns] - skin).max(axis=2)
    contrast[on_base] *= NOSE_BASE_CONTRAST
    share = np.clip((contrast - SPOT_CONTRAST[0]) / (SPOT_CONTRAST[1] - SPOT_CONTRAST[0]), 0, 1)
    share = cv2.dilate(share, np.ones((3, 3), np.uint8)) * turned
    reach = np.where(on_base, NOSE_BASE_REACH, SPOT_REACH)[:, None]
    share *= np.clip((reach - 0.5 - np.abs(columns - middle)) / 2, 0, 1)
    share *= np.clip(np.minimum(rows - top, bottom - rows).max(axis=0) / SPOT_MARGIN, 0, 1)[:, None]
    _blend_strip(images, skin, share.astype(np.float32), (int(rows[0]), int(columns[0])), size / coarse_size)


def _between_rows(skin: FloatImage, rows: NDArray[np.intp], first: int, ends: tuple[float, float]) -> FloatImage:
    """Interpolate the colors of rows from those just above and just below, (N, w, 3).

    Args:
        skin: (h, w, 3) colors.
        rows: (N,) of the view.
        first: row of the view in which ``skin`` starts.
        ends: upper and lower end of these rows.
    """
    upper, lower = ends
    above, below = (skin[np.clip(row - first, 0, len(skin) - 1)] for row in (math.floor(upper), math.ceil(lower)))
    share = ((rows - upper) / max(lower - upper, 1e-6))[:, None, None].astype(np.float32)
    return np.asarray(above + share * (below - above))


def _blend_strip(
    images: tuple[Image, Image], skin: FloatImage, share: FloatImage, corner: tuple[int, int], scale: float
) -> None:
    """Blend colors into a strip of images of another resolution.

    Args:
        images: (S, S, 3) RGB uint8 each.
        skin: (h, w, 3) float32, 0 to 255, the colors.
        share: (h, w) of them, 0 to 1.
        corner: row and column of the strip's first pixel, in pixels of that size.
        scale: pixels of the images for each of them.
    """
    top, left = np.floor(np.array(corner) * scale).astype(int)
    bottom, right = np.ceil(np.add(corner, share.shape) * scale).astype(int)
    shift = ((np.array([left, top]) + 0.5) / scale - 0.5 - corner[::-1])[:, None]
    matrix, size = np.hstack([np.eye(2) / scale, shift]), (int(right - left), int(bottom - top))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    colors, weight = (
        cv2.warpAffine(part, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) for part in (skin, share)
    )
    for image in images:
        strip = image[top:bottom, left:right]
        strip[:] = np.round(strip + weight[..., None] * (colors - strip))
