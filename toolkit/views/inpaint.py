"""Fill pixels of unknown color from known ones."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.types import Image
from toolkit.views.segmentation import CERTAIN_PERSON, Mask


def extend_person_colors(photo: Image, mask: Mask | None, margin: float = 1.0) -> Image:
    """Replace every pixel outside a person by the nearest pixel inside, so that no background color is left.

    Args:
        photo: (H, W, 3) RGB uint8.
        mask: (H, W) 0 to 1, of the person; None leaves the photo unchanged.
        margin: pixels; inside pixels this near to the contour are replaced too, because there the colors of person and
            background mix.

    Returns:
        (H, W, 3) RGB uint8; the photo itself where no pixel is inside.
    """
    if mask is None:
        return photo
    inside = np.asarray(mask > CERTAIN_PERSON, np.uint8)
    if radius := round(margin):
        inside = np.asarray(
            cv2.erode(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)), np.uint8
        )
    if not inside.any():
        return photo
    _, labels = cv2.distanceTransformWithLabels(1 - inside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    indices = np.flatnonzero(inside)
    index_of_label = np.zeros(int(labels.max()) + 1, np.intp)
    index_of_label[labels.reshape(-1)[indices]] = indices
    return np.asarray(photo.reshape(-1, 3)[index_of_label[labels]])


def inpaint_smooth(photo: Image, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill unknown pixels with a smooth blend of the known ones around them; large holes get coarse colors.

    Args:
        photo: (H, W, 3) RGB uint8.
        known: (H, W).

    Returns:
        (H, W, 3) float32, 0 to 255.

    Source: push-pull over an image pyramid, Gortler et al., The Lumigraph, SIGGRAPH 1996.
    """
    weight = known.astype(np.float32)
    levels = [(photo * weight[..., None], weight)]
    while min(weight.shape) > 2:
        color, weight = levels[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        halved = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (color, weight))
        color, weight = (np.asarray(each, np.float32) for each in halved)
        levels.append((color, weight))
    color, weight = levels.pop()
    filled = np.asarray(color / np.maximum(weight, 1e-6)[..., None], np.float32)
    for color, weight in reversed(levels):
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled = np.asarray(color + coarse * (1 - weight)[..., None], np.float32)
    return filled
