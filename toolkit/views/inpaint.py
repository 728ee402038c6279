"""Pixels that a photo does not show, filled from those that it does."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.types import Photo
from toolkit.views.segmentation import CERTAIN, Mask


def person_only(photo: Photo, mask: Mask | None, inset: float = 1.0) -> Photo:
    """The photo with the nearest of the person's own colours wherever there is no person.

    What lies a hair's breadth beyond the contour is then skin or hair, not wall.

    Args:
        photo: (H, W, 3) RGB uint8.
        mask: from :func:`person_mask`; None leaves the photo as it is.
        inset: pixels; colours so near to the contour are not trusted either, they are mixed with the wall's.
    """
    if mask is None:
        return photo
    inside = np.asarray(mask > CERTAIN, np.uint8)
    if reach := round(inset):
        inside = np.asarray(
            cv2.erode(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)), np.uint8
        )
    if not inside.any():
        return photo
    _, nearest = cv2.distanceTransformWithLabels(1 - inside, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    flat = np.flatnonzero(inside)
    place = np.zeros(int(nearest.max()) + 1, np.intp)
    place[nearest.reshape(-1)[flat]] = flat
    return np.asarray(photo.reshape(-1, 3)[place[nearest]])


def fill(photo: Photo, known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Fill unknown pixels smoothly from the known ones around, the wider the hole the softer.

    Args:
        photo: (H, W, 3) RGB uint8.
        known: (H, W).

    Returns:
        (H, W, 3) float32.

    Source: push and pull over an image pyramid, Gortler et al., The Lumigraph, SIGGRAPH 1996.
    """
    weight = known.astype(np.float32)
    levels = [(photo * weight[..., None], weight)]
    while min(weight.shape) > 2:
        colour, weight = levels[-1]
        size = ((weight.shape[1] + 1) // 2, (weight.shape[0] + 1) // 2)
        halved = (cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (colour, weight))
        colour, weight = (np.asarray(each, np.float32) for each in halved)
        levels.append((colour, weight))
    colour, weight = levels.pop()
    filled = np.asarray(colour / np.maximum(weight, 1e-6)[..., None], np.float32)
    for colour, weight in reversed(levels):
        coarse = cv2.resize(filled, (weight.shape[1], weight.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled = np.asarray(colour + coarse * (1 - weight)[..., None], np.float32)
    return filled
