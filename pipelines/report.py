"""Stage: an output folder, to look at: a contact sheet of photo, crop and frontal face."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.pages import TILE, fit, page, picture
from toolkit.errors import PhotoError
from toolkit.images import write_whole
from toolkit.ledger import Outcome, read_ledger
from toolkit.photos import read_photo

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
    shown = [common[place * len(common) // most] for place in range(most)] if len(common) > most else common
    strips = [Strip("photos", [read_photo(photos / name) for name in shown])]
    for (caption, folder), ledger in zip(folders.items(), ledgers, strict=True):
        strips.append(Strip(caption, [read_photo(folder / ledger[name].outputs[0]) for name in shown]))
    return strips


def write_page(path: Path, photos: Path, out: Path) -> None:
    """One self-contained HTML file: every input of an output folder, before and after, rejects with their reasons.

    Args:
        path: the page.
        photos: the folder that the inputs are relative to.
        out: an output folder with its ledger.
    """
    rows = "\n".join(_row(photos, out, outcome) for outcome in read_ledger(out))
    head = "<tr><th>input<th>before<th>after<th>pose</tr>"
    write_whole(path, page(out.name, f"<table>{head}\n{rows}\n</table>"))


def _row(photos: Path, out: Path, outcome: Outcome) -> str:
    after = "".join(_picture(out / output) for output in outcome.outputs) or html.escape(outcome.reason)
    return (
        f"<tr class={outcome.status}><td>{html.escape(outcome.input)}<td>{_picture(photos / outcome.input)}"
        f"<td>{after}<td>{_pose(outcome.faces)}</tr>"
    )


def _pose(faces: list[dict[str, Any]]) -> str:
    return "<br>".join(
        " ".join(f"{angle} {face[angle]:+.0f}°" for angle in ("yaw", "pitch", "roll") if face.get(angle) is not None)
        for face in faces
    )


def _picture(path: Path) -> str:
    try:
        return picture(read_photo(path), path.name)
    except PhotoError as error:
        return html.escape(error.reason)
