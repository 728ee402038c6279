"""What is behind a person: replaced, so that a network does not learn one studio's wall; or seen without the person."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.resample import sample_reduced
from toolkit.photos.types import Image
from toolkit.views.inpaint import inpaint_smooth
from toolkit.views.segmentation import CERTAIN_BACKGROUND, Mask, person_probability

FloatImage = NDArray[np.float32]

BACKGROUND, PERSON = 0.65, 0.95  # probabilities of a person: up to which a pixel is replaced in full, from which kept
MIN_BACKGROUND = 0.02  # share of a photo that certainly shows the background; with less it cannot be continued
_FILL_SIZE = 96  # pixels: sides of the image in which the background is continued behind the person


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


def without_person(photo: Image, person: Mask, x: FloatImage, y: FloatImage) -> Image | None:
    """Sample a photo's background, with a smooth blend of it in the person's place.

    Args:
        photo: (H, W, 3) RGB uint8.
        person: (H, W) 0 to 1.
        x: (h, w) pixels of the photo, also beyond its edges.
        y: likewise.

    Returns:
        (h, w, 3) RGB uint8; None if the photo shows no background.
    """
    size = (_FILL_SIZE, _FILL_SIZE)
    background = cv2.resize(person, size, interpolation=cv2.INTER_AREA) < CERTAIN_BACKGROUND
    # Eroded, because at the contour the colors of person and background mix.
    known = cv2.erode(background.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if known.mean() < MIN_BACKGROUND:
        return None
    filled = inpaint_smooth(np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8), known)
    height, width = person.shape
    blend, share = (sample_reduced(part, x, y, photo.shape) for part in (filled, known.astype(np.float32)))
    share *= (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    own = cv2.remap(photo, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(np.round(blend + (own - blend) * share[..., None]), np.uint8)
