"""Random image degradation: blur, downscaling, noise and JPEG compression.

Networks trained on clean photos alone fail on real ones. Each kind of degradation is drawn at random. Colors are kept:
the intended brightness of a photo cannot be seen in it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.types import Image

PROBABILITY = 0.5  # of each kind of degradation
MAX_DOWNSCALING = 3.0  # factor
MAX_BLUR = 1.5  # pixels, standard deviation
MAX_NOISE = 10.0  # levels of 255, standard deviation
JPEG_QUALITY = (25, 95)


def degrade(photo: Image, random: np.random.Generator, strength: float = 1.0) -> Image:
    """Degrade a photo at random.

    Args:
        photo: (H, W, 3) RGB uint8.
        random: the generator to draw from.
        strength: 0, no change, to 1: limits how far each kind of degradation goes.

    Returns:
        Another photo of the same size.
    """
    if not strength:
        return photo
    height, width = photo.shape[:2]
    applied, amounts = random.random(4) < PROBABILITY, random.random(4) * strength
    levels: NDArray[Any] = photo.astype(np.float32)
    if applied[0]:
        levels = cv2.GaussianBlur(levels, (0, 0), 0.1 + MAX_BLUR * amounts[0])
    if applied[1]:
        factor = 1 + (MAX_DOWNSCALING - 1) * amounts[1]
        levels = cv2.resize(levels, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    if applied[2]:
        levels = levels + random.normal(0, MAX_NOISE * amounts[2], levels.shape)
    pixels = np.clip(levels, 0, 255).astype(np.uint8)
    if applied[3]:
        low, high = JPEG_QUALITY
        quality = round(high + (low - high) * amounts[3])
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
