"""Square, aligned crops of the faces in one photo."""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError, PhotoRejected
from toolkit.faces.face import Face, overlap, rescale_face
from toolkit.faces.quality import eyes_open, mouth_open, sharpness
from toolkit.geometry.affine import add_margin, matrix_scale
from toolkit.geometry.crop import TEMPLATES, Template, crop_matrix
from toolkit.geometry.head_pose import Pose, head_pose
from toolkit.landmarks.protocols import Landmarker
from toolkit.landmarks.search_views import view_around
from toolkit.photos.resample import ArrayPhoto, Decoder, crop_photo
from toolkit.photos.types import Image

FacePolicy = Literal["largest", "all", "reject"]
SEARCH_SIDE = 512  # pixels: shorter side at which large photos are searched; detectors resize to 128 or 192
RETRY_PIXELS = 4_000_000  # where nothing is found, the search is repeated at this many pixels; tiles have 500 a side
MIN_MESH_SIZE = (
    128  # pixels: meshes of smaller faces are fitted again at a finer scale, which fills the network's input
)


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignConfig:
    """Which faces are cropped, and how."""

    size: int = 256  # side of the square crop, pixels
    faces: FacePolicy = "largest"  # of several faces: crop the largest, crop all, or reject the photo
    min_face: int = 40  # smaller faces are rejected: larger side of the box, pixels of the photo
    template: Template = "chin"  # where the face lies in the crop: see toolkit.geometry.crop
    margin: float = 0.0  # added on each side of the template's square, as a share of its side

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
    """One face, cropped to an upright square."""

    image: Image  # (size, size, 3) RGB
    matrix: NDArray[np.float64]  # (2, 3), photo -> crop
    face: Face
    pose: Pose

    def ledger_row(self) -> dict[str, Any]:
        """Return the ledger's row for this face: plain values, rounded to their precision."""
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
        if (scale := matrix_scale(self.matrix)) > 1:
            row["upscaled"] = round(scale, 2)
        return row


def align_photo(photo: Image | Decoder, landmarker: Landmarker, config: AlignConfig | None = None) -> list[AlignedCrop]:
    """Crop the faces of a photo.

    A :class:`toolkit.photos.decode.Photo` is searched at reduced size and decoded no larger than its
    crops need; matrices, boxes and landmarks always refer to the photo at full size.

    Args:
        photo: (H, W, 3) RGB uint8, or an encoded photo.
        landmarker: finds the faces; see :func:`toolkit.landmarks.finder.open_landmarker`.
        config: None means the defaults.

    Returns:
        One crop for ``largest`` and ``reject``; one or more for ``all``, left to right.

    Raises:
        PhotoRejected: ``no-face``, ``small-face``, ``several-faces`` or ``bad-mesh``.
        PhotoFailed: an encoded photo is damaged.
    """
    config = config or AlignConfig()
    decoder = ArrayPhoto(photo) if isinstance(photo, np.ndarray) else photo
    faces = choose_faces(_find(decoder, landmarker, every=config.faces != "largest"), config)
    crops = []
    for face in faces:
        matrix = crop_matrix(face.landmarks, config.size, config.template)
        matrix = add_margin(matrix, config.size, config.margin)
        crops.append(AlignedCrop(crop_photo(decoder, matrix, config.size), matrix, face, head_pose(face.landmarks)))
    return crops


def _find(photo: Decoder, landmarker: Landmarker, every: bool) -> list[Face]:
    """Find the faces, in pixels of the photo at full size."""
    width, height = photo.size
    pixels, scale = _reduced_pixels(photo, SEARCH_SIDE / min(width, height))
    faces = landmarker.find(pixels, every)
    if not faces and scale < (finer := min(1.0, math.sqrt(RETRY_PIXELS / (width * height)))):
        pixels, scale = _reduced_pixels(photo, finer)
        faces = landmarker.find(pixels, every)
    faces = [rescale_face(face, 1 / scale) for face in faces]
    if scale == 1:
        return faces
    return [_find_finer(photo, landmarker, face, scale) for face in faces]


def _reduced_pixels(photo: Decoder, scale: float) -> tuple[Image, float]:
    """Return the photo at a scale or somewhat finer; formats that decode at full size only are halved repeatedly.

    The views in which faces are searched take several times the memory of the photo, too much at full size.
    """
    pixels, decoded = photo.pixels(scale)
    reduction = 1.0
    while decoded * reduction >= 2 * scale:
        reduction /= 2
    if reduction < 1:
        smaller = cv2.resize(pixels, None, fx=reduction, fy=reduction, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(smaller, np.uint8)
    return pixels, decoded * reduction


def _find_finer(photo: Decoder, landmarker: Landmarker, face: Face, scale: float) -> Face:
    """Find a face again in a finer decode, if it had too few pixels for the mesh network."""
    if face.size * scale >= MIN_MESH_SIZE:
        return face
    pixels, finer = photo.pixels(MIN_MESH_SIZE / face.size)
    if finer <= scale:
        return face
    left, top, right, bottom = (edge * finer for edge in face.box)
    side = max(right - left, bottom - top)
    view = view_around(pixels, face.found_by, (left + right) / 2, (top + bottom) / 2, side)
    shift = np.append(view.to_photo[:, 2], 0)
    found = [replace(one, landmarks=one.landmarks + shift) for one in landmarker.find(view.image)]
    best = max((rescale_face(one, 1 / finer) for one in found), key=lambda one: overlap(one, face), default=face)
    return replace(best, found_by=face.found_by) if overlap(best, face) > 0.5 else face


def choose_faces(faces: list[Face], config: AlignConfig) -> list[Face]:
    """Return the faces that the config asks for, left to right; raises as :func:`align_photo` does."""
    if not faces:
        raise PhotoRejected("no-face", "none found in any view of the photo")
    large = [face for face in faces if face.size >= config.min_face]
    if not large:
        largest = max(face.size for face in faces)
        raise PhotoRejected("small-face", f"{largest:.0f} px, below --min-face {config.min_face}")
    if config.faces == "reject" and len(large) > 1:
        raise PhotoRejected("several-faces", f"{len(large)} found; use --faces largest or all")
    if config.faces == "all":
        return sorted(large, key=lambda face: face.box[0])
    return [max(large, key=lambda face: face.size)]
