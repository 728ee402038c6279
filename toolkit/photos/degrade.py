"""What photos go through before they reach an archive: blurred, made small, noisy, compressed.

Networks that learn from clean photos alone fail on real ones. Here clean ones are worn as real ones are, each
kind of wear drawn at random. Colours stay: how bright a photo was meant to be cannot be seen in it.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
CHANCE = 0.5  # of each kind of wear
SHRUNK = 3.0  # times, at most
SIGMA = 1.5  # px of blur, at most
NOISE = 10.0  # levels, at most
QUALITY = (25, 95)  # of JPEG


def worn(photo: Photo, random: np.random.Generator, strength: float = 1.0) -> Photo:
    """Wear a photo.

    Args:
        photo: (H, W, 3) RGB uint8.
        random: decides what happens, and how badly.
        strength: 0, nothing, to 1: how far each kind of wear may go.

    Returns:
        Another photo of the same size.
    """
    if not strength:
        return photo
    height, width = photo.shape[:2]
    chances, amounts = random.random(4) < CHANCE, random.random(4) * strength
    levels: NDArray[Any] = photo.astype(np.float32)
    if chances[0]:
        levels = cv2.GaussianBlur(levels, (0, 0), 0.1 + SIGMA * amounts[0])
    if chances[1]:
        factor = 1 + (SHRUNK - 1) * amounts[1]
        levels = cv2.resize(levels, (round(width / factor), round(height / factor)), interpolation=cv2.INTER_AREA)
    if chances[2]:
        levels = levels + random.normal(0, NOISE * amounts[2], levels.shape)
    pixels = np.clip(levels, 0, 255).astype(np.uint8)
    if chances[3]:
        worst, best = QUALITY
        quality = round(best + (worst - best) * amounts[3])
        _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
