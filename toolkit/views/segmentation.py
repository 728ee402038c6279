"""A photo taken apart: the person and what is behind, each filled where the other hides it."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.geometry.affine import compose
from toolkit.landmarks.mediapipe_graphs import PersonModel
from toolkit.photos.types import Photo

Mask = NDArray[np.float32]
SEES = np.array([256, 144])  # pixels, width and height of what the network sees
AROUND = 1.3  # half the square it looks at, in sizes of the face
SEEN = 0.8  # of the face's nearer points at least
CERTAIN, SURE, MAYBE = 0.8, 0.6, 0.15  # of a person: above the first two surely, below the last surely not


@cache
def _person_model() -> PersonModel:
    return PersonModel()


def head_part(
    photo: Photo, middle: NDArray[np.float64], half: float, shrink: float
) -> tuple[Photo, NDArray[np.float64], float]:
    """Cut out the part of a photo that matters, at about the resolution it is wanted in.

    Finer pixels, picked singly afterwards, would alias; photos are never enlarged.

    Args:
        photo: (H, W, 3) RGB uint8.
        middle: (2 or more,) of the part, pixels.
        half: its side, pixels; cut short by the photo's edge.
        shrink: photo pixels per pixel wanted.

    Returns:
        The part; the (2,) shift that was cut away; its scale. A point lies at
        ``(xy - shift + 0.5) * scale - 0.5`` in it.
    """
    height, width = photo.shape[:2]
    left, top = np.clip(np.floor(middle[:2] - half), 0, [width - 2, height - 2]).astype(int)
    right, bottom = np.clip(np.ceil(middle[:2] + half), [left + 2, top + 2], [width, height]).astype(int)
    part, shift = np.ascontiguousarray(photo[top:bottom, left:right]), np.array([left, top], np.float64)
    if shrink < 1.5:
        return part, shift, 1.0
    size = max(2, round(part.shape[1] / shrink)), max(2, round(part.shape[0] / shrink))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8), shift, size[0] / part.shape[1]


def person_mask(photo: Photo, landmarks: NDArray[np.float64]) -> Mask | None:
    """Find the person around a face.

    Args:
        photo: (H, W, 3) RGB uint8.
        landmarks: (N, 3) of the face, pixels.

    Returns:
        (H, W) 0 to 1, or None where the network does not see the face as part of a person.
    """
    mask = person_likelihood(photo, landmarks)
    return mask if shows_face(mask, landmarks) else None


def person_likelihood(photo: Photo, landmarks: NDArray[np.float64]) -> Mask:
    """What the person network says of each pixel around a face, (H, W) 0 to 1; as :func:`person_mask`."""
    height, width = photo.shape[:2]
    low, high = landmarks[:, :2].min(axis=0), landmarks[:, :2].max(axis=0)
    half = max(float((high - low).max()), 1.0) * AROUND
    scale = SEES / (2 * half)
    to_network = np.column_stack([np.diag(scale), (SEES - 1) / 2 - (low + high) / 2 * scale])
    smaller, source, most = to_network, photo, float(scale.max())
    if most < 0.5:  # averaged first: single pixels of a large photo are noise
        reduced = cv2.resize(photo, None, fx=2 * most, fy=2 * most, interpolation=cv2.INTER_AREA)
        source, back = np.asarray(reduced, np.uint8), 1 / (2 * most)
        smaller = compose(to_network, np.array([[back, 0, back / 2 - 0.5], [0, back, back / 2 - 0.5]]))
    wide = cv2.warpAffine(source, smaller, SEES.tolist(), borderMode=cv2.BORDER_REPLICATE)
    mask = _person_model().mask(np.asarray(wide, np.uint8))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(mask, to_network, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(whole, np.float32)


def shows_face(mask: Mask, landmarks: NDArray[np.float64]) -> bool:
    """Whether a person's mask holds the person's face."""
    height, width = mask.shape
    nearer = landmarks[landmarks[:, 2] <= np.median(landmarks[:, 2])]  # of a profile's others, many lie off the face
    x, y = np.clip(nearer[:, :2].round().astype(int).T, 0, [[width - 1], [height - 1]])
    return bool((mask[y, x] > SURE).mean() > SEEN)
