"""Stage: output folders, to look at: the same photos in each, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.html import TILE, fit
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import read_ledger
from toolkit.records.subjects import spread_over_subjects

Image = NDArray[np.uint8]
GAP, MARGIN = 4, 12  # px
CAPTION = 22  # px, the line of text above each strip
BLACK = (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Strip:
    """One row of pictures with its caption."""

    caption: str
    images: list[Image]


def contact_sheet(strips: Sequence[Strip]) -> Image:
    """Strips one below the other; (H, W, 3) RGB uint8 on white.

    Pictures are fitted into square tiles, whole and uncut.
    """
    columns = max(len(strip.images) for strip in strips)
    width = 2 * MARGIN + columns * (TILE + GAP) - GAP
    rows = [np.full((MARGIN, width, 3), 255, np.uint8)]
    for strip in strips:
        row = np.full((CAPTION + TILE + MARGIN, width, 3), 255, np.uint8)
        cv2.putText(row, strip.caption, (MARGIN, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, BLACK, 1, cv2.LINE_AA)
        for place, image in enumerate(strip.images):
            left = MARGIN + place * (TILE + GAP)
            row[CAPTION : CAPTION + TILE, left : left + TILE] = fit(image)
        rows.append(row)
    return np.concatenate(rows)


def read_strips(photos: Path, folders: dict[str, Path], most: int) -> list[Strip]:
    """The same inputs through several output folders, read back by their ledgers.

    Args:
        photos: the folder that the inputs are relative to.
        folders: caption -> output folder; inputs that all of them wrote are shown.
        most: how many inputs, evenly spaced.
    """
    ledgers = [{row.input: row for row in read_ledger(folder) if row.outputs} for folder in folders.values()]
    common = sorted(set.intersection(*(set(ledger) for ledger in ledgers)))
    shown = spread_over_subjects(common, most)
    strips = [Strip("photos", [read_photo(photos / name) for name in shown])]
    for (caption, folder), ledger in zip(folders.items(), ledgers, strict=True):
        strips.append(Strip(caption, [read_photo(folder / ledger[name].outputs[0]) for name in shown]))
    return strips
