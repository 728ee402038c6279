"""Replace what is behind a person, so that a network does not learn one studio's wall."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.types import Image
from toolkit.views.segmentation import person_probability

BACKGROUND, PERSON = 0.65, 0.95  # probabilities of a person: up to which a pixel is replaced in full, from which kept


def draw_backdrop(random: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the colors of a backdrop's corners, (2, 2, 3) RGB: one color, brighter on one side than on the other."""
    color = random.uniform(0, 255, 3)
    gray = random.random()  # most walls are pale
    color = color * (1 - gray) + color.mean() * gray
    return np.asarray(np.clip(color + random.normal(0, 15, (2, 2, 1)), 0, 255), np.uint8)


def replace_backdrop(photo: Image, landmarks: NDArray[np.float64], corners: NDArray[np.uint8]) -> Image:
    """Replace all pixels that do not show the person.

    Args:
        photo: (H, W, 3) RGB uint8.
        landmarks: (N, 3) of the face, pixels.
        corners: (2, 2, 3) RGB, the new colors at the photo's corners.
    """
    height, width = photo.shape[:2]
    backdrop = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    share = np.clip((person_probability(photo, landmarks) - BACKGROUND) / (PERSON - BACKGROUND), 0, 1)[..., None]
    return np.asarray(np.round(photo * share + backdrop * (1 - share)), np.uint8)
