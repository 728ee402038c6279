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

from pipelines.pairs.importers.listing import Item, Listing, without_collisions
from toolkit.errors import PhotoRejected
from toolkit.geometry.affine import fit_similarity, invert
from toolkit.geometry.crop import CHIN_DOWN, MIDPOINT_ACROSS, MIDPOINT_DOWN
from toolkit.records.ledger import refused

FORM = "<id>/frontal/NN.jpg or <id>/profile/NN.jpg"
_NAME = re.compile(r"(?:.*/)?([^/]+)/(frontal|profile)/([^/]+)\.\w+")

# Where the fiducials of a profile that looks to the right of the image lie in the chin crop, in shares of its side:
# medians over the 380 of 388 profiles of 97 people in which the landmarker finds a face. A crop fitted to them differs
# from the landmarker's, median and 95th percentile, by 1.7 and 6.2 % of the side across, 2.0 and 7.4 % down,
# 4.4 and 18 % in scale, 3.5 and 12 degrees in roll. Eye, nose tip and chin alone: 2.2 %, 2.1 %, 5.3 %, 3.6 degrees.
_PROFILE = np.array(
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
_ANCHORS = np.array([[MIDPOINT_ACROSS, MIDPOINT_DOWN], [MIDPOINT_ACROSS, CHIN_DOWN]])

# Where midpoint or chin of the two crops lie further apart, in shares of the side, the landmarker is the one that errs:
# of the 17 such profiles 16 were looked at, and in each of them the fiducials' crop was the better one.
STRAYED = 0.2
UNSEEN_YAW = 80.0  # degrees: profiles without a face for the landmarker are turned further than the others, median 63


def list_cfp(photos: Sequence[str]) -> Listing:
    """Read the names of a CFP tree.

    Args:
        photos: relative paths, in any folders.

    Returns:
        One subject per person; frontal photos are candidates for its target. Refused: ``no-pose`` for photos in
        other folders, ``collision``.
    """
    named, refusals = [], []
    for photo in photos:
        if match := _NAME.fullmatch(photo):
            person, view, number = match.groups()
            role, labels = ("candidate" if view == "frontal" else "input"), {"person": person}
            named.append(Item(photo, person, f"{view}-{number}", role, labels))  # type: ignore[arg-type]
        else:
            refusals.append(refused(photo, PhotoRejected("no-pose", f"its path is not {FORM}")))
    items, collided = without_collisions(named)
    return Listing(items, refusals + collided)


def read_profile_fiducials(source: Path, photo: str) -> NDArray[np.float64] | None:
    """Read the (30, 2) fiducials of a profile photo, pixels; None for frontal photos and those without.

    Raises:
        PhotoRejected: ``bad-fiducials``, the file does not hold 30 points.
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
    if points.shape != _PROFILE.shape:
        raise PhotoRejected("bad-fiducials", f"{path.name}: {points.shape} numbers; 30 lines x,y are expected")
    return points


def looks_right(fiducials: NDArray[np.float64]) -> bool:
    """Whether a profile looks to the right of the image: its subject turned to their left."""
    return bool(fiducials[_NOSE_TIP, 0] > fiducials[_EYE, 0].mean())


def profile_matrix(fiducials: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """The (2, 3) matrix photo -> chin crop of a profile, from its (30, 2) fiducials.

    Raises:
        PhotoRejected: ``bad-mesh``, all points coincide.
    """
    shares = _PROFILE if looks_right(fiducials) else _PROFILE * [-1, 1] + [1, 0]
    return fit_similarity(fiducials, shares * size - 0.5)


def has_strayed(found: NDArray[np.float64], matrix: NDArray[np.float64], size: int) -> bool:
    """Whether the landmarker's crop shows something else than the fiducials': two (2, 3) matrices photo -> crop."""
    anchors = _ANCHORS * size - 0.5
    back = invert(found)
    photo_xy = anchors @ back[:, :2].T + back[:, 2]
    distance = photo_xy @ matrix[:, :2].T + matrix[:, 2] - anchors
    return bool(np.hypot(*distance.T).max() > STRAYED * size)


def roll_of(matrix: NDArray[np.float64]) -> float:
    """Degrees by which a head leans in the photo, as :class:`toolkit.geometry.head_pose.Pose` counts them."""
    down = invert(matrix)[:, 1]
    return math.degrees(math.atan2(-down[0], down[1]))
