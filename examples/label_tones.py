"""Skin tone as a column of a paired set's labels.csv, for `frontalize evaluate SET --by tone`.

    python examples/label_tones.py SET

Measured in each target's cheeks as the individual typology angle, arctan((L - 50) / b) in CIELAB, and named by its
usual bounds. Photos are lit and developed as somebody liked, so that a tone says more of a group than of one person.

Source of angle and bounds: Chardon, Cretois and Hourseau, International Journal of Cosmetic Science 1991.
"""

import csv
import io
import math
import sys
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.photos.decode import read_photo
from toolkit.photos.files import write_atomic
from toolkit.records.labels import LABELS
from toolkit.records.subjects import find_splits, read_pairs

BOUNDS = ((41.0, "light"), (28.0, "intermediate"), (10.0, "tan"), (-math.inf, "dark"))  # degrees, from above
CHEEKS = ((0.20, 0.34), (0.66, 0.80))  # of a chin crop's width
HEIGHT = (0.38, 0.52)  # and of its height: below the eyes, beside the nose


def tone_of(crop: NDArray[np.uint8]) -> str:
    """The name of a face's skin tone; crop is (S, S, 3) RGB as `align` cuts it."""
    side = len(crop)
    low, high = (round(share * side) for share in HEIGHT)
    cheeks = [crop[low:high, round(left * side) : round(right * side)] for left, right in CHEEKS]
    lab = cv2.cvtColor(np.concatenate(cheeks).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lightness, _, yellow = np.median(np.asarray(lab).reshape(-1, 3), axis=0).tolist()
    angle = math.degrees(math.atan2(lightness - 50, max(yellow, 1e-6)))
    return next(name for bound, name in BOUNDS if angle > bound)


def label(part: Path) -> Counter[str]:
    """Write the tone of every file's target into the table of a set, or of a part of one; how many files have which."""
    pairs = read_pairs(part)
    tones = {target: tone_of(read_photo(part / target)) for target in {pair.target for pair in pairs}}
    tones |= {pair.input: tones[pair.target] for pair in pairs}
    with (part / LABELS).open(newline="", encoding="utf-8") as file:
        rows = [{**row, "tone": tones.get(row["file"], "")} for row in csv.DictReader(file)]
    buffer = io.StringIO()
    table = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomic(part / LABELS, buffer.getvalue())
    return Counter(row["tone"] for row in rows)


def main(root: Path) -> None:
    """Label the set, or both parts of a divided one."""
    for part in sorted(find_splits(root)) or [""]:
        counts = ", ".join(f"{count:,} {tone or 'unknown'}" for tone, count in label(root / part).most_common())
        print(f"{root / part / LABELS}: {counts}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
