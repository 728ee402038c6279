"""Celebrities in Frontal-Profile (CFP): ``<id>/frontal/NN.jpg`` and ``<id>/profile/NN.jpg``, 30 fiducials each.

Sengupta, Chen, Castillo, Patel, Chellappa, Jacobs: Frontal to Profile Face Verification in the Wild, WACV 2016. The
fiducials lie beside the photos as ``.txt``, or in ``Fiducials/`` where the photos are in ``Images/``: lines ``x,y`` for
the jaw from the ear to the chin (0-8), brow, eye (12-17), nose (its tip is 21), mouth, all of the side that is seen.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.importers.importer import (
    Importer,
    Item,
    Listing,
    Row,
    crop_largest_face,
    without_collisions,
)
from toolkit.errors import PhotoRejected
from toolkit.faces.quality import sharpness
from toolkit.geometry.affine import fit_similarity, invert
from toolkit.geometry.crop import CHIN_Y, MIDPOINT_X, MIDPOINT_Y
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo
from toolkit.photos.resample import crop_photo
from toolkit.photos.types import Image
from toolkit.records.ledger import error_outcome

PATH_PATTERN = "<id>/frontal/NN.jpg or <id>/profile/NN.jpg"
_NAME = re.compile(r"(?:.*/)?([^/]+)/(frontal|profile)/([^/]+)\.\w+")

# Positions of the fiducials in the chin crop, shares of its side, for a profile that faces the right of the image:
# medians over the 380 of 388 profiles of 97 people in which the landmarker finds a face. A crop fitted to them differs
# from the landmarker's, median and 95th percentile, by 1.7 and 6.2 % of the side in x, 2.0 and 7.4 % in y,
# 4.4 and 18 % in scale, 3.5 and 12 degrees in roll. Eye, nose tip and chin alone: 2.2 %, 2.1 %, 5.3 %, 3.6 degrees.
_TEMPLATE = np.array(
    [
        *([-0.285, 0.296], [-0.250, 0.432], [-0.214, 0.575], [-0.145, 0.715], [-0.042, 0.823]),
        *([0.086, 0.907], [0.226, 0.968], [0.381, 1.005], [0.564, 1.009]),
        *([0.187, 0.108], [0.344, 0.028], [0.495, 0.051]),
        *([0.243, 0.200], [0.315, 0.151], [0.379, 0.134], [0.431, 0.175], [0.321, 0.227], [0.380, 0.223]),
        *([0.572, 0.151], [0.617, 0.236], [0.671, 0.319], [0.726, 0.421]),
        *([0.633, 0.507], [0.567, 0.507], [0.499, 0.484], [0.415, 0.699]),
        *([0.632, 0.607], [0.623, 0.667], [0.616, 0.793], [0.606, 0.728]),
    ]
)
_EYE, _NOSE_TIP = slice(12, 18), 21
_ANCHORS = np.array([[MIDPOINT_X, MIDPOINT_Y], [MIDPOINT_X, CHIN_Y]])

# Largest distance of midpoint or chin between the landmarker's and the fiducials' crop, as a share of the side. Beyond,
# the fiducials' crop is used: it was the better one in all 16 of the 17 such profiles that were compared by eye.
MAX_DISAGREEMENT = 0.2
MAX_COORDINATE = 100_000  # pixels: no photo is as wide
DEFAULT_YAW = 80.0  # degrees, if the landmarker finds no face: such profiles are turned further than others (median 63)


def list_cfp(source: Path, photos: Sequence[str], config: ImportConfig) -> Listing:
    """Read the names of a CFP tree.

    Args:
        source: not used.
        photos: relative paths, in any folders.
        config: not used.

    Returns:
        One subject per person; frontal photos are candidates for its target. Rejected: ``no-pose`` for photos in
        other folders, ``collision``.
    """
    named, refusals = [], []
    for photo in photos:
        if match := _NAME.fullmatch(photo):
            person, view, number = match.groups()
            role, labels = ("candidate" if view == "frontal" else "input"), {"person": person}
            named.append(Item(photo, person, f"{view}-{number}", role, labels))  # type: ignore[arg-type]
        else:
            refusals.append(error_outcome(photo, PhotoRejected("no-pose", f"its path is not {PATH_PATTERN}")))
    items, collided = without_collisions(named)
    return Listing(items, refusals + collided)


def read_profile_fiducials(source: Path, photo: str) -> NDArray[np.float64] | None:
    """Read the (30, 2) fiducials of a profile photo, pixels; None for frontal photos and those without.

    Raises:
        PhotoRejected: ``bad-fiducials``, the file does not contain 30 points of a photo.
    """
    if "profile" not in photo.split("/"):
        return None
    beside = Path(photo).with_suffix(".txt")
    apart = Path(*("Fiducials" if part == "Images" else part for part in beside.parts))
    path = next((source / place for place in (beside, apart) if (source / place).is_file()), None)
    if path is None:
        return None
    try:
        points = np.loadtxt(path, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise PhotoRejected("bad-fiducials", f"{path.name}: {error}") from error
    if points.shape != _TEMPLATE.shape:
        raise PhotoRejected("bad-fiducials", f"{path.name}: {points.shape} numbers; 30 lines x,y are expected")
    if not (np.abs(points) < MAX_COORDINATE).all():  # nan is not
        raise PhotoRejected("bad-fiducials", f"{path.name}: a coordinate is no number below {MAX_COORDINATE:,} pixels")
    return points


def faces_right(fiducials: NDArray[np.float64]) -> bool:
    """Return whether a profile faces the right of the image: its subject is turned to their left."""
    return bool(fiducials[_NOSE_TIP, 0] > fiducials[_EYE, 0].mean())


def profile_matrix(fiducials: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Fit the (2, 3) matrix photo -> chin crop of a profile to its (30, 2) fiducials.

    Raises:
        PhotoRejected: ``bad-mesh``, all points coincide.
    """
    shares = _TEMPLATE if faces_right(fiducials) else _TEMPLATE * [-1, 1] + [1, 0]
    return fit_similarity(fiducials, shares * size - 0.5)


def crops_disagree(found: NDArray[np.float64], matrix: NDArray[np.float64], size: int) -> bool:
    """Return whether two crops show different parts of a photo.

    Args:
        found: (2, 3) photo -> crop, of the landmarker.
        matrix: (2, 3) photo -> crop, of the fiducials.
        size: side of the crops, pixels.
    """
    template_xy = _ANCHORS * size - 0.5
    back = invert(found)
    photo_xy = template_xy @ back[:, :2].T + back[:, 2]
    distance = photo_xy @ matrix[:, :2].T + matrix[:, 2] - template_xy
    return bool(np.hypot(*distance.T).max() > MAX_DISAGREEMENT * size)


def roll_of(matrix: NDArray[np.float64]) -> float:
    """Return the roll of a head in degrees, as in :class:`toolkit.geometry.head_pose.Pose`."""
    down = invert(matrix)[:, 1]
    return math.degrees(math.atan2(-down[0], down[1]))


def crop_cfp(photo: Photo, source: Path, name: str, landmarker: Landmarker, size: int) -> tuple[Image, Row]:
    """Make the landmarker's crop, or the fiducials' crop of a profile if the landmarker finds no face or they disagree.

    Raises:
        PhotoRejected: as :func:`crop_largest_face` and :func:`read_profile_fiducials` say.
    """
    fiducials = read_profile_fiducials(source, name)
    row: Row = {}
    try:
        image, row = crop_largest_face(photo, source, name, landmarker, size)
    except PhotoRejected as error:
        if fiducials is None or error.code != "no-face":
            raise
    if fiducials is not None:
        matrix = profile_matrix(fiducials, size)
        if not row or crops_disagree(np.array(row["matrix"]), matrix, size):
            image = crop_photo(photo, matrix, size)
            row = _fiducial_row(fiducials, matrix, image, row.get("yaw", 0.0))
    return image, row


def _fiducial_row(fiducials: NDArray[np.float64], matrix: NDArray[np.float64], image: Image, yaw: float) -> Row:
    """Return the row of an annotated face.

    The pitch is unknown. The yaw, in degrees, is the landmarker's if its sign is right.
    """
    side = 1 if faces_right(fiducials) else -1
    (left, top), (right, bottom) = fiducials.min(axis=0).tolist(), fiducials.max(axis=0).tolist()
    return {
        "box": [round(edge, 1) for edge in (left, top, right, bottom)],
        "score": None,
        "yaw": yaw if yaw * side > 0 else side * DEFAULT_YAW,
        "roll": round(roll_of(matrix), 1),
        "matrix": [[float(f"{value:.8g}") for value in line] for line in matrix.tolist()],
        "pass": "fiducials",
        "sharpness": round(sharpness(image), 1),
    }


IMPORTER = Importer(PATH_PATTERN, list_cfp, crop_cfp, squares_are_crops=False, measures_all=True)
