"""One photo and its faces to square crops, or a named rejection."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError, PhotoRejected
from toolkit.geometry import TEMPLATES, Pose, Template, crop_matrix, head_pose, invert, widened
from toolkit.landmarks import Face, Landmarker, overlap, resized
from toolkit.looks import around, compose
from toolkit.quality import eyes_open, mouth_open, sharpness

FacePolicy = Literal["largest", "all", "reject"]

LOOK_SIDE = 512  # pixels: the shorter side at which big photos are searched; detectors see 128 or 192 of them
LOOK_AREA = 4_000_000  # pixels: where nothing was found, looked at once more in so many at least; a tile has 500 a side
CLEAR_SIZE = 128  # pixels: smaller faces are looked at again in a finer decode; what fills the mesh network's input


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignConfig:
    """How faces become crops."""

    size: int = 256  # side of the square crop, pixels
    faces: FacePolicy = "largest"  # of several: the largest alone, all of them, or reject the photo
    min_face: int = 40  # smaller faces are rejected: larger side of the face's box, pixels of the photo
    template: Template = "chin"  # what lands where: see toolkit.geometry
    margin: float = 0.0  # more of the photo around the template's square, as a share of its side

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096:
            raise ConfigError(f"size={self.size}: must be 16 to 4096 pixels; try 256")
        if not 0 <= self.margin <= 2:
            raise ConfigError(f"margin={self.margin}: must be 0 to 2, a share of the crop's side; try 0.25")
        if self.min_face < 1:
            raise ConfigError(f"min_face={self.min_face}: must be 1 pixel or more; try 40")
        if self.faces not in get_args(FacePolicy):
            raise ConfigError(f"faces={self.faces!r}: choose one of {', '.join(get_args(FacePolicy))}")
        if self.template not in TEMPLATES:
            raise ConfigError(f"template={self.template!r}: choose one of {', '.join(TEMPLATES)}")


@dataclass(frozen=True, slots=True)
class AlignedCrop:
    """One face, cut out square and upright."""

    image: NDArray[np.uint8]  # (size, size, 3) RGB
    matrix: NDArray[np.float64]  # (2, 3), photo -> crop
    face: Face
    pose: Pose

    def ledger_row(self) -> dict[str, Any]:
        """What the ledger keeps of this face: plain values, rounded to what they are good for."""
        face = self.face
        row = {
            "box": [round(edge, 1) for edge in face.box],
            "score": None if face.score is None else round(face.score, 3),
            "yaw": round(self.pose.yaw, 1),
            "pitch": round(self.pose.pitch, 1),
            "roll": round(self.pose.roll, 1),
            "matrix": [[float(f"{value:.8g}") for value in row] for row in self.matrix.tolist()],
            "pass": face.found_by,
            "sharpness": round(sharpness(self.image), 1),
            "eyes_open": round(eyes_open(face.landmarks), 3),
            "mouth_open": round(mouth_open(face.landmarks), 3),
        }
        if face.presence is not None:
            row["presence"] = round(face.presence, 3)
        if (enlarged := magnification(self.matrix)) > 1:
            row["upscaled"] = round(enlarged, 2)
        return row


class Decoder(Protocol):
    """A photo that is decoded as large as asked: :class:`toolkit.photos.Photo`, or a :class:`Whole` array."""

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) at full size, pixels."""
        ...

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """(H, W, 3) RGB uint8 at a scale of at least ``scale``, and that scale."""
        ...


@dataclass(frozen=True, slots=True)
class Whole:
    """A photo that is an array already: (H, W, 3) RGB uint8."""

    array: NDArray[np.uint8]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        return self.array.shape[1], self.array.shape[0]

    def pixels(self, scale: float = 1.0) -> tuple[NDArray[np.uint8], float]:
        """The array, at scale 1 whatever is asked."""
        return self.array, 1.0


def align_photo(
    photo: NDArray[np.uint8] | Decoder, landmarker: Landmarker, config: AlignConfig | None = None
) -> list[AlignedCrop]:
    """Cut the faces of a photo.

    A :class:`toolkit.photos.Photo` is searched at reduced size and decoded only as large as its
    crops deserve; matrices, boxes and landmarks are those of the full photo in any case.

    Args:
        photo: (H, W, 3) RGB uint8, or a photo still encoded.
        landmarker: finds the faces; :func:`toolkit.cascade.open_landmarker` gives the usual one.
        config: what to cut; the defaults if None.

    Returns:
        One crop for ``largest`` and ``reject``; one or more for ``all``, left to right.

    Raises:
        PhotoRejected: ``no-face``, ``small-face``, ``several-faces`` or ``bad-mesh``.
        PhotoFailed: an encoded photo turns out to be damaged.
    """
    config = config or AlignConfig()
    decoder = Whole(photo) if isinstance(photo, np.ndarray) else photo
    faces = choose_faces(_find(decoder, landmarker, every=config.faces != "largest"), config)
    crops = []
    for face in faces:
        matrix = crop_matrix(face.landmarks, config.size, config.template)
        matrix = widened(matrix, config.size, config.margin)
        crops.append(AlignedCrop(cut_from(decoder, matrix, config.size), matrix, face, head_pose(face.landmarks)))
    return crops


def _find(photo: Decoder, landmarker: Landmarker, every: bool) -> list[Face]:
    """The faces in pixels of the full photo."""
    width, height = photo.size
    pixels, scale = _reduced(photo, LOOK_SIDE / min(width, height))
    faces = landmarker.find(pixels, every)
    if not faces and scale < (finer := min(1.0, math.sqrt(LOOK_AREA / (width * height)))):
        pixels, scale = _reduced(photo, finer)
        faces = landmarker.find(pixels, every)
    faces = [resized(face, 1 / scale) for face in faces]
    if scale == 1:
        return faces
    return [_seen_finer(photo, landmarker, face, scale) for face in faces]


def _reduced(photo: Decoder, scale: float) -> tuple[NDArray[np.uint8], float]:
    """The photo at a scale or somewhat finer, halved as JPEGs are where its form is decoded whole.

    The looks at a photo take several times its size: of all pixels of a large one that would be too much memory.
    """
    pixels, decoded = photo.pixels(scale)
    share = 1.0
    while decoded * share >= 2 * scale:
        share /= 2
    if share < 1:
        pixels = np.asarray(cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)
    return pixels, decoded * share


def _seen_finer(photo: Decoder, landmarker: Landmarker, face: Face, scale: float) -> Face:
    """A face whose mesh would come out of too few pixels, looked at once more in more of them."""
    if face.size * scale >= CLEAR_SIZE:
        return face
    pixels, finer = photo.pixels(CLEAR_SIZE / face.size)
    if finer <= scale:
        return face
    left, top, right, bottom = (edge * finer for edge in face.box)
    look = around(pixels, face.found_by, (left + right) / 2, (top + bottom) / 2, max(right - left, bottom - top))
    shift = np.append(look.to_photo[:, 2], 0)
    seen = [resized(replace(one, landmarks=one.landmarks + shift), 1 / finer) for one in landmarker.find(look.picture)]
    best = max(seen, key=lambda one: overlap(one, face), default=face)
    return replace(best, found_by=face.found_by) if overlap(best, face) > 0.5 else face


def cut_from(photo: Decoder, matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Cut a crop as :func:`cut` does, from a decode that has a pixel for each of the crop's.

    Args:
        photo: still encoded, or a :class:`Whole` array.
        matrix: (2, 3), full photo -> crop.
        size: side of the crop, pixels.
    """
    pixels, scale = photo.pixels(magnification(matrix))
    to_full = np.array([[1 / scale, 0, 0.5 / scale - 0.5], [0, 1 / scale, 0.5 / scale - 0.5]])
    return cut(pixels, compose(matrix, to_full), size)


def magnification(matrix: NDArray[np.float64]) -> float:
    """Crop pixels per photo pixel of a (2, 3) matrix photo -> crop."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return math.sqrt(abs(a * d - b * c))


def choose_faces(faces: list[Face], config: AlignConfig) -> list[Face]:
    """Keep the faces that the config asks for, left to right; raises as :func:`align_photo` does."""
    if not faces:
        raise PhotoRejected("no-face", "none found in any look at the photo")
    large = [face for face in faces if face.size >= config.min_face]
    if not large:
        largest = max(face.size for face in faces)
        raise PhotoRejected("small-face", f"{largest:.0f} px, below --min-face {config.min_face}")
    if config.faces == "reject" and len(large) > 1:
        raise PhotoRejected("several-faces", f"{len(large)} found; use --faces largest or all")
    if config.faces == "all":
        return sorted(large, key=lambda face: face.box[0])
    return [max(large, key=lambda face: face.size)]


def cut(photo: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Resample a photo into a crop, without aliasing when it shrinks.

    Args:
        photo: (H, W, 3) RGB uint8.
        matrix: (2, 3), photo -> crop.
        size: side of the crop, pixels.

    Returns:
        (size, size, 3) RGB uint8; beyond the photo's edge its border pixels go on.
    """
    shrink = 1 / magnification(matrix)  # photo pixels per crop pixel
    # Sample so many times finer, then average blocks. The kernel alone smooths a fourth of a pixel more than needed.
    fine = max(1, min(math.ceil(shrink - 0.25), 8192 // size))
    finer = matrix * fine
    finer[:, 2] += (fine - 1) / 2  # pixel centres: crop x lies at fine * x + (fine - 1) / 2
    side = size * fine
    warped = cv2.warpAffine(photo, finer, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if fine > 1:
        warped = cv2.resize(warped, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def crop_to_photo(crop_xy: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Carry points of a crop back onto its photo: (N, 2) crop pixels and the (2, 3) matrix photo -> crop."""
    back = invert(matrix)
    return np.asarray(crop_xy @ back[:, :2].T + back[:, 2])


def paste_back(photo: NDArray[np.uint8], crop: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Put a crop, as it is or changed, back into its photo.

    Args:
        photo: (H, W, 3) RGB uint8.
        crop: (S, S, 3) RGB uint8.
        matrix: (2, 3), photo -> crop, as the ledger keeps it.

    Returns:
        A copy of the photo in which the crop's square shows the crop; all else is untouched.
    """
    height, width = photo.shape[:2]
    back = invert(matrix)
    if magnification(matrix) > 1:  # smooth first what shrinks
        smaller = max(1, round(len(crop) / magnification(matrix)))
        ratio = len(crop) / smaller
        crop = np.asarray(cv2.resize(crop, (smaller, smaller), interpolation=cv2.INTER_AREA), np.uint8)
        back = compose(back, np.array([[ratio, 0, ratio / 2 - 0.5], [0, ratio, ratio / 2 - 0.5]]))
    painted = cv2.warpAffine(crop, back, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    corners = crop_to_photo(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * float(len(crop)) - 0.5, invert(back))
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners * 16).astype(np.int32), (255,), shift=4)
    return np.where(inside[:, :, None] > 0, painted, photo).astype(np.uint8)
