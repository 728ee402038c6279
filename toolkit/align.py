"""One photo and its faces to square crops, or a named rejection."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError, PhotoRejected
from toolkit.geometry import TEMPLATES, Pose, Template, crop_matrix, head_pose, invert
from toolkit.landmarks import Face, Landmarker
from toolkit.quality import eyes_open, mouth_open, sharpness

FacePolicy = Literal["largest", "all", "reject"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignConfig:
    """How faces become crops."""

    size: int = 256  # side of the square crop, pixels
    faces: FacePolicy = "largest"  # of several: the largest alone, all of them, or reject the photo
    min_face: int = 40  # faces narrower or lower than this are rejected, pixels of the photo
    template: Template = "chin"  # what lands where: see toolkit.geometry

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 4096:
            raise ConfigError(f"size={self.size}: must be 16 to 4096 pixels; try 256")
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
        return {
            "box": [round(edge, 1) for edge in self.face.box],
            "score": None if self.face.score is None else round(self.face.score, 3),
            "yaw": round(self.pose.yaw, 1),
            "pitch": round(self.pose.pitch, 1),
            "roll": round(self.pose.roll, 1),
            "matrix": [[float(f"{value:.8g}") for value in row] for row in self.matrix],
            "pass": self.face.found_by,
            "sharpness": round(sharpness(self.image), 1),
            "eyes_open": round(eyes_open(self.face.landmarks), 3),
            "mouth_open": round(mouth_open(self.face.landmarks), 3),
        }


def align_photo(
    photo: NDArray[np.uint8], landmarker: Landmarker, config: AlignConfig | None = None
) -> list[AlignedCrop]:
    """Cut the faces of a photo.

    Args:
        photo: (H, W, 3) RGB uint8.
        landmarker: finds the faces; :func:`toolkit.cascade.open_landmarker` gives the usual one.
        config: what to cut; the defaults if None.

    Returns:
        One crop for ``largest`` and ``reject``; one or more for ``all``, left to right.

    Raises:
        PhotoRejected: ``no-face``, ``small-face``, ``several-faces`` or ``bad-mesh``.
    """
    config = config or AlignConfig()
    faces = choose_faces(landmarker.find(photo), config)
    matrices = [crop_matrix(face.landmarks, config.size, config.template) for face in faces]
    return [
        AlignedCrop(cut(photo, matrix, config.size), matrix, face, head_pose(face.landmarks))
        for face, matrix in zip(faces, matrices, strict=True)
    ]


def choose_faces(faces: list[Face], config: AlignConfig) -> list[Face]:
    """Keep the faces that the config asks for, left to right; raises as :func:`align_photo` does."""
    if not faces:
        raise PhotoRejected("no-face", "none found, also with a border around the photo")
    large = [face for face in faces if face.width >= config.min_face]
    if not large:
        widest = max(face.width for face in faces)
        raise PhotoRejected("small-face", f"{widest:.0f} px, below --min-face {config.min_face}")
    if config.faces == "reject" and len(large) > 1:
        raise PhotoRejected("several-faces", f"{len(large)} found; use --faces largest or all")
    if config.faces == "all":
        return sorted(large, key=lambda face: face.box[0])
    return [max(large, key=lambda face: face.width)]


def cut(photo: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Resample a photo into a crop, without aliasing when it shrinks.

    Args:
        photo: (H, W, 3) RGB uint8.
        matrix: (2, 3), photo -> crop.
        size: side of the crop, pixels.

    Returns:
        (size, size, 3) RGB uint8; beyond the photo's edge its border pixels go on.
    """
    shrink = 1 / float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))  # photo pixels per crop pixel
    # Sample so many times finer, then average blocks. The kernel alone smooths a fourth of a pixel more than needed.
    fine = max(1, min(int(np.ceil(shrink - 0.25)), 8192 // size))
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
