"""Stage: several output folders of the same photos -> one picture that compares them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.html import TILE, to_tile
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.records.ledger import read_ledger
from toolkit.records.subjects import spread_over_subjects

GAP, MARGIN = 4, 12  # pixels
CAPTION = 22  # pixels, height of the text above each strip
TEXT_COLOR = (40, 40, 40)


@dataclass(frozen=True, slots=True)
class Strip:
    """A row of images with its caption."""

    caption: str
    images: list[Image]


def contact_sheet(strips: Sequence[Strip]) -> Image:
    """Draw strips one below the other; (H, W, 3) RGB uint8 on white.

    Images are fitted into square tiles, uncropped.
    """
    columns = max(len(strip.images) for strip in strips)
    width = 2 * MARGIN + columns * (TILE + GAP) - GAP
    rows = [np.full((MARGIN, width, 3), 255, np.uint8)]
    for strip in strips:
        row = np.full((CAPTION + TILE + MARGIN, width, 3), 255, np.uint8)
        cv2.putText(row, strip.caption, (MARGIN, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, TEXT_COLOR, 1, cv2.LINE_AA)
        for place, image in enumerate(strip.images):
            left = MARGIN + place * (TILE + GAP)
            row[CAPTION : CAPTION + TILE, left : left + TILE] = to_tile(image)
        rows.append(row)
    return np.concatenate(rows)


def read_strips(photos: Path, folders: dict[str, Path], most: int) -> list[Strip]:
    """Read the same inputs from several output folders, by their ledgers.

    Args:
        photos: folder that the inputs are relative to.
        folders: caption -> output folder. Inputs that have an output in all of them are used.
        most: maximum number of inputs, evenly spaced.

    Returns:
        The strip of the photos, then one for each folder.
    """
    ledgers = [{row.input: row for row in read_ledger(folder) if row.outputs} for folder in folders.values()]
    common = sorted(set.intersection(*(set(ledger) for ledger in ledgers)))
    shown = spread_over_subjects(common, most)
    strips = [Strip("photos", [read_photo(photos / name) for name in shown])]
    for (caption, folder), ledger in zip(folders.items(), ledgers, strict=True):
        strips.append(Strip(caption, [read_photo(folder / ledger[name].outputs[0]) for name in shown]))
    return strips
