"""Stage: an output folder, to look at: a contact sheet of photo, crop and frontal face."""

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhotoError
from toolkit.images import encode_image, write_whole
from toolkit.ledger import Outcome, read_ledger
from toolkit.photos import read_photo

Image = NDArray[np.uint8]
TILE, GAP, MARGIN = 112, 4, 12  # px
CAPTION = 22  # px, the line of text above each strip
WHITE, GREY, BLACK = (255, 255, 255), (238, 238, 238), (40, 40, 40)


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
            row[CAPTION : CAPTION + TILE, left : left + TILE] = _fit(image)
        rows.append(row)
    return np.concatenate(rows)


def _fit(image: Image) -> Image:
    scale = TILE / max(image.shape[:2])
    width, height = (max(1, round(side * scale)) for side in (image.shape[1], image.shape[0]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    tile = np.full((TILE, TILE, 3), GREY, np.uint8)
    top, left = (TILE - height) // 2, (TILE - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile


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
    write_whole(path, _PAGE.format(title=html.escape(out.name), rows=rows))


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
        data = encode_image(_fit(read_photo(path)), ".jpg", 85)
    except PhotoError as error:
        return html.escape(error.reason)
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(data).decode()}" alt="{html.escape(path.name)}">'


_PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; color: #282828; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
table {{ border-collapse: collapse }}
th {{ text-align: left; padding: 0 1rem .5rem 0 }}
td {{ padding: .25rem 1rem .25rem 0; vertical-align: middle }}
img {{ display: block; border-radius: 4px }}
.rejected, .failed {{ color: #a03030 }}
</style>
<h1>{title}</h1>
<table><tr><th>input<th>before<th>after<th>pose</tr>
{rows}
</table>
</html>
"""
