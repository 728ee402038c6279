"""Make the faces in tests/data from the Face Research Lab London Set.

    python examples/make_test_faces.py ../shared/data tests/data

Writes eight frontal photos and four turned ones as square JPEGs, and points.csv with hand-placed points of the frontal
ones. Photos are cut to a square around the head and resized; nothing else is changed.

Source: DeBruine & Jones, Face Research Lab London Set, 2017, doi 10.6084/m9.figshare.5047666, CC BY 4.0.
"""

import csv
import io
import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_atomic

SIDE = 256  # px, of the JPEGs
QUALITY = 92  # of the JPEGs
FRONTAL = ("003", "021", "025", "030", "038", "045", "061", "070")  # ids of the London set
ROOM = 1.3  # side of a frontal square: this many times the height of the head's points
TURNED = {  # squares in photos of 1000 px: left, top and side in px
    "003_left_3quarter": (120, 70, 760),
    "061_right_3quarter": (60, 70, 760),
    "030_left_profile": (150, 70, 760),
    "070_right_profile": (130, 70, 760),
}
POINTS = {  # which of the 189 points of the set; sides are the subject's
    "right_pupil": 0,
    "left_pupil": 1,
    "right_eye_outer": 18,
    "right_eye_inner": 22,
    "left_eye_inner": 23,
    "left_eye_outer": 27,
    "chin": 129,
}

Square = tuple[int, int, int]  # left, top, side in px


def head_square(corner_xy: NDArray[np.float64]) -> Square:
    """Return the square around a head's points, with room on all sides."""
    low, high = corner_xy.min(axis=0), corner_xy.max(axis=0)
    side = round(ROOM * (high - low).max())
    left, top = np.round((low + high - side) / 2).astype(int).tolist()
    return left, top, side


def cut_square(photo: NDArray[np.uint8], square: Square) -> NDArray[np.uint8]:
    """Cut a square from a photo and resize it to (SIDE, SIDE, 3)."""
    left, top, side = square
    part = photo[top : top + side, left : left + side]
    if left < 0 or top < 0 or part.shape[:2] != (side, side):
        raise ValueError(f"the square {square} leaves the photo of {photo.shape[1]} x {photo.shape[0]} px")
    return np.asarray(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def in_square(corner_xy: NDArray[np.float64], square: Square) -> NDArray[np.float64]:
    """Carry points of a photo, counted from the corner of its first pixel, to the centre-based pixels of the JPEG."""
    left, top, side = square
    return np.asarray((corner_xy - [left, top]) * SIDE / side - 0.5)


def main(shared: Path, out: Path) -> None:
    """Write the JPEGs and points.csv to a folder."""
    rows: list[tuple[str, str, str, str]] = [("file", "point", "x", "y")]
    for person in FRONTAL:
        corner_xy = np.loadtxt(shared / "london" / f"{person}_neutral.csv", delimiter=",", skiprows=1)
        square = head_square(corner_xy)
        photo = read_photo(shared / "london" / f"{person}_neutral.jpg")
        write_atomic(out / f"{person}_frontal.jpg", encode_image(cut_square(photo, square), ".jpg", QUALITY))
        for name, (x, y) in zip(POINTS, in_square(corner_xy[list(POINTS.values())], square), strict=True):
            rows.append((f"{person}_frontal.jpg", name, f"{x:.2f}", f"{y:.2f}"))
    for name, square in TURNED.items():
        person, view = name.split("_", 1)
        photo = read_photo(shared / "london_views" / f"{person}_neutral_{view}.jpg")
        write_atomic(out / f"{name}.jpg", encode_image(cut_square(photo, square), ".jpg", QUALITY))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    write_atomic(out / "points.csv", table.getvalue())
    print(f"{out}: {len(FRONTAL)} frontal faces, {len(TURNED)} turned ones, points.csv")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
