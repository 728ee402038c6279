"""Person segmentation around a face."""

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.affine import compose
from toolkit.networks.runtime import built_in
from toolkit.photos.types import Image

Mask = NDArray[np.float32]  # (H, W), 0 to 1

INPUT_SIZE_WH = np.array([256, 144])  # pixels: width and height of the network's input
WINDOW_HALF = 1.3  # face sizes: half the side of the square window around the face that becomes that input
MIN_FACE_SHARE = 0.8  # share of the face's nearer landmarks that a person mask has to cover

# Thresholds for a person mask.
CERTAIN_PERSON = 0.8  # a pixel above shows the person, and its color is not mixed with the background's
PROBABLE_PERSON = 0.6  # a pixel above lies inside the person's contour
CERTAIN_BACKGROUND = 0.15  # a pixel below shows the background


def person_mask(photo: Image, landmarks: NDArray[np.float64]) -> Mask | None:
    """Segment the person around a face.

    Args:
        photo: (H, W, 3) RGB uint8.
        landmarks: (N, 3) of the face, pixels.

    Returns:
        (H, W) 0 to 1; None where the result does not cover the face.
    """
    mask = person_probability(photo, landmarks)
    return mask if covers_face(mask, landmarks) else None


def person_probability(photo: Image, landmarks: NDArray[np.float64]) -> Mask:
    """Return the output of the person network around a face, (H, W) 0 to 1, even where it misses the face.

    Args:
        photo: (H, W, 3) RGB uint8.
        landmarks: (N, 3) of the face, pixels.
    """
    height, width = photo.shape[:2]
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    half = max(float((high - low).max()), 1.0) * WINDOW_HALF
    scale = INPUT_SIZE_WH / (2 * half)
    to_network = np.column_stack([np.diag(scale), (INPUT_SIZE_WH - 1) / 2 - (low + high) / 2 * scale])
    matrix, source, largest = to_network, photo, float(scale.max())
    if largest < 0.5:  # averaged first, because sampling single pixels of a large photo gives noise
        reduced = cv2.resize(photo, None, fx=2 * largest, fy=2 * largest, interpolation=cv2.INTER_AREA)
        source, back = np.asarray(reduced, np.uint8), 1 / (2 * largest)
        matrix = compose(to_network, np.array([[back, 0, back / 2 - 0.5], [0, back, back / 2 - 0.5]]))
    # Beyond the edge of a tight crop the photo is reflected: where its edges were extended as stripes, the network
    # missed most heads.
    window = cv2.warpAffine(source, matrix, INPUT_SIZE_WH.tolist(), borderMode=cv2.BORDER_REFLECT_101)
    (mask,) = built_in("person_segmentation")(window[None])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    full = cv2.warpAffine(mask[0], to_network, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(full, np.float32)


def covers_face(mask: Mask, landmarks: NDArray[np.float64]) -> bool:
    """Return whether a person mask, (H, W), covers the face of the landmarks, (N, 3) pixels."""
    return face_share(mask, landmarks) > MIN_FACE_SHARE


def face_share(mask: Mask, landmarks: NDArray[np.float64]) -> float:
    """Return the share of the nearer landmarks, (N, 3) pixels, that a person mask, (H, W), covers: 0 to 1."""
    height, width = mask.shape
    nearer = landmarks[landmarks[:, 2] <= np.median(landmarks[:, 2])]  # in profile, many of the others lie off the face
    x, y = np.clip(nearer[:, :2].round().astype(int).T, 0, [[width - 1], [height - 1]])
    return float((mask[y, x] > PROBABLE_PERSON).mean())
