"""The London faces in tests/data: photos of 256 px and hand-placed points."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.photos.decode import read_photo

FACES = Path(__file__).parent / "data"
TURNED = {  # file stem -> which way the nose points (1: to the subject's left), least and most yaw in degrees
    "003_left_3quarter": (-1, 25, 70),  # measured -36
    "061_right_3quarter": (1, 25, 70),  # measured 60
    "030_left_profile": (-1, 75, 90),  # measured -90
    "070_right_profile": (1, 75, 90),  # measured 90
}


def frontal_faces() -> dict[str, NDArray[np.uint8]]:
    """Return the frontal photos, by the person's number."""
    return {path.name[:3]: read_photo(path) for path in sorted(FACES.glob("*_frontal.jpg"))}


def placed_points() -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return the hand-placed points of the frontal photos: person -> point -> (x, y)."""
    found: dict[str, dict[str, NDArray[np.float64]]] = {}
    with (FACES / "points.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["file"][:3], {})[row["point"]] = np.array([float(row["x"]), float(row["y"])])
    return found
