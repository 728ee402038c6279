"""Other ways to look at a photo in which the first look found no face: padded, mirrored, turned, in parts.

A look is a picture made from the photo and the matrix that carries its points back.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import Face
from toolkit.geometry.affine import compose
from toolkit.geometry.mesh_topology import MIRROR

LEAST_TILE = 200  # pixels: parts smaller than that hold no face worth a crop


@dataclass(frozen=True, slots=True)
class Look:
    """One way to look."""

    name: str  # goes into the ledger as the pass that found the face
    picture: NDArray[np.uint8]  # (H, W, 3) RGB
    to_photo: NDArray[np.float64]  # (2, 3), picture -> photo


_AS_IT_IS = np.eye(2, 3)


def plain(photo: NDArray[np.uint8]) -> Look:
    """The photo as it is."""
    return Look("plain", photo, _AS_IT_IS)


def carried(face: Face, look: Look) -> Face:
    """A face found in a look, in pixels of the photo; by the look's name and that of the pass in it."""
    (a, b, right), (c, d, low) = look.to_photo.tolist()
    determinant = a * d - b * c
    points = face.landmarks if determinant > 0 else face.landmarks[MIRROR]
    landmarks = np.empty_like(points)
    landmarks[:, 0] = a * points[:, 0] + b * points[:, 1] + right
    landmarks[:, 1] = c * points[:, 0] + d * points[:, 1] + low
    landmarks[:, 2] = math.sqrt(abs(determinant)) * points[:, 2]
    names = [name for name in (look.name, face.found_by) if name != "plain"]
    return Face(landmarks, face.score, face.presence, "+".join(dict.fromkeys(names)) or "plain")


def handed(look: Look) -> Look:
    """The look, or its mirror image: whichever has its right half brighter across the middle.

    A photo and its mirror image give the same picture. So whatever is found in it, by networks
    that treat left and right a little differently (1 % of a crop), is the same for both.
    """
    height, width = look.picture.shape[:2]
    band = look.picture[max(0, height // 2 - 16) : height // 2 + 16]
    left, right = band[:, : width // 2], band[:, width - width // 2 :]
    if width < 2 or sum(cv2.mean(right)) >= sum(cv2.mean(left)):
        return look
    return mirrored(look)


def mirrored(look: Look, name: str | None = None) -> Look:
    """Left and right swapped: some profiles are found on one side only."""
    flip = np.array([[-1.0, 0, look.picture.shape[1] - 1], [0, 1, 0]])
    return Look(name or look.name, np.asarray(cv2.flip(look.picture, 1), np.uint8), compose(look.to_photo, flip))


def padded(photo: NDArray[np.uint8]) -> Look:
    """With a border half as wide: detectors were trained on faces with room around them, tight crops have none."""
    down, across = photo.shape[0] // 2, photo.shape[1] // 2
    bordered = cv2.copyMakeBorder(photo, down, down, across, across, cv2.BORDER_REPLICATE)
    return Look("padded", np.asarray(bordered, np.uint8), _shift(-across, -down))


def turned(photo: NDArray[np.uint8]) -> Iterator[Look]:
    """By 90, 180 and 270 degrees: phone photos whose EXIF says nothing, and scans."""
    right, low = photo.shape[1] - 1, photo.shape[0] - 1
    back = ([[0, -1, right], [1, 0, 0]], [[-1, 0, right], [0, -1, low]], [[0, 1, 0], [-1, 0, low]])
    for quarters, matrix in enumerate(back, start=1):
        yield Look(f"rotated-{quarters * 90}", np.rot90(photo, quarters), np.array(matrix, np.float64))


def tiles(photo: NDArray[np.uint8]) -> Iterator[Look]:
    """Overlapping halves and fourths of the side: detectors see no face below a tenth of what they are shown."""
    for share in (2, 4):
        height, width = photo.shape[0] // share, photo.shape[1] // share
        if min(height, width) < LEAST_TILE:
            return
        for top in np.linspace(0, photo.shape[0] - height, 2 * share - 1).astype(int):
            for left in np.linspace(0, photo.shape[1] - width, 2 * share - 1).astype(int):
                yield Look("tile", photo[top : top + height, left : left + width], _shift(left, top))


def profile_hints(photo: NDArray[np.uint8]) -> Iterator[Look]:
    """Surroundings of what OpenCV's Haar cascade takes for a profile; it is often wrong, so it only says where to look.

    Source: Viola and Jones, CVPR 2001; the model comes with OpenCV.
    """
    scale = min(1.0, 320 / min(photo.shape[:2]))
    grey = cv2.cvtColor(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    for flip in (False, True):  # it knows one side only
        seen = np.ascontiguousarray(grey[:, ::-1]) if flip else grey
        for left, top, width, _ in _profile_cascade().detectMultiScale(seen, 1.1, 3, minSize=(48, 48)):
            left = grey.shape[1] - left - width if flip else left
            yield around(photo, "profile-cascade", (left + width / 2) / scale, (top + width / 2) / scale, width / scale)


def around(photo: NDArray[np.uint8], name: str, x: float, y: float, side: float) -> Look:
    """The photo around a face-sized square, with as much room again on each side."""
    half = max(1, round(side))
    left, top = round(x) - half, round(y) - half
    right, low = left + 2 * half, top + 2 * half
    height, width = photo.shape[:2]
    inside = photo[max(top, 0) : min(low, height), max(left, 0) : min(right, width)]
    borders = (max(-top, 0), max(low - height, 0), max(-left, 0), max(right - width, 0))
    return Look(
        name, np.asarray(cv2.copyMakeBorder(inside, *borders, cv2.BORDER_REPLICATE), np.uint8), _shift(left, top)
    )


def _shift(x: float, y: float) -> NDArray[np.float64]:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


@cache
def _profile_cascade() -> cv2.CascadeClassifier:
    return cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / "haarcascade_profileface.xml"))  # type: ignore[attr-defined]
