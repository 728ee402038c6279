"""One photo and its faces to square crops, or a named rejection."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError, PhotoRejected
from toolkit.faces.face import Face, Landmarker, overlap, resized
from toolkit.faces.quality import eyes_open, mouth_open, sharpness
from toolkit.geometry.affine import magnification, widened
from toolkit.geometry.crop import TEMPLATES, Template, crop_matrix
from toolkit.geometry.head_pose import Pose, head_pose
from toolkit.landmarks.search_views import around
from toolkit.photos.resample import Decoder, Whole, cut_from

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
    template: Template = "chin"  # what lands where: see toolkit.geometry.crop
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


def align_photo(
    photo: NDArray[np.uint8] | Decoder, landmarker: Landmarker, config: AlignConfig | None = None
) -> list[AlignedCrop]:
    """Cut the faces of a photo.

    A :class:`toolkit.photos.decode.Photo` is searched at reduced size and decoded only as large as its
    crops deserve; matrices, boxes and landmarks are those of the full photo in any case.

    Args:
        photo: (H, W, 3) RGB uint8, or a photo still encoded.
        landmarker: finds the faces; :func:`toolkit.landmarks.finder.open_landmarker` gives the usual one.
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
