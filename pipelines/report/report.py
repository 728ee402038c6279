"""Stage: an output folder -> one HTML page with every input before and after, and why some were rejected.

The template is ``report.html`` beside this file. Its data are the rows of the ledger as JSON, and the thumbnails, those
of each input in an element of its own: the browser decodes only the visible ones.
"""

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipelines.html import render, require_page, write_page
from pipelines.report.config import ReportConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import ConfigError, PhotoError
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.files import encode_image
from toolkit.records.ledger import Outcome, sorted_outcomes
from toolkit.records.subjects import spread_over_subjects

TEMPLATE = Path(__file__).with_suffix(".html")
THUMBNAIL_SIDES = ((160, 2_000), (128, 6_000), (96, None))  # longer side in pixels, up to this number of thumbnails
QUALITY = 70  # of WebP
MAX_OUTPUTS = 12  # shown of each input
FACE_FIELDS = ("yaw", "pitch", "roll", "score", "confidence", "sharpness")


@dataclass(frozen=True, slots=True)
class Pictures:
    """The image files of one input."""

    place: int  # on the page, from 0
    files: tuple[Path | None, ...]  # the photo, None if its place is unknown; then the outputs


class Report:
    """A page about an output folder: :meth:`draw` the thumbnails, then :meth:`write`.

    Args:
        folder: contains the ledger of its run.
        page: the HTML file; its links to photos and outputs are relative.
        config: which inputs are shown.

    Attributes:
        counts: number of inputs by status; skipped ones count by the status of the run that processed them.

    Raises:
        ConfigError: there is no ledger, or the page cannot be written.
    """

    def __init__(self, folder: Path, page: Path, config: ReportConfig) -> None:
        require_page(page)
        statuses = [_status(outcome) for outcome in sorted_outcomes(folder)]
        if not statuses:
            raise ConfigError(f"DIR {folder}: no ledger.jsonl in it; give the OUT of align, batch or pairs")
        self.counts = Counter(statuses)
        self._title, self._page = folder.resolve().name, page
        self._rows: list[dict[str, Any]] = []
        self._pictures: list[Pictures] = []
        chosen = _choose(statuses, config.most)
        for number, outcome in enumerate(sorted_outcomes(folder)):  # read again: a list of a million rows is too large
            if number in chosen:
                self._add(outcome, folder, config.photos)
        self._thumbnails = [""] * len(self)

    def __len__(self) -> int:
        return len(self._rows)

    def draw(self, workers: int, stop: Stop) -> Iterator[None]:
        """Make the thumbnails in worker processes; yields after each input."""
        count = sum(len(each.files) for each in self._pictures)
        side = next(side for side, most in THUMBNAIL_SIDES if most is None or count <= most)
        for result in run_in_workers(_load_nothing, partial(_thumbnails, side), self._pictures, workers, stop):
            if not isinstance(result, Crash):  # the input of a crash has no pictures
                place, self._thumbnails[place] = result
            yield

    def write(self) -> None:
        """Write the page atomically.

        Raises:
            ConfigError: it cannot be written.
        """
        script, style = (TEMPLATE.with_suffix(suffix).read_text(encoding="utf-8") for suffix in (".js", ".css"))
        page = render(
            TEMPLATE,
            title=self._title.encode(errors="replace").decode(),  # file names may be invalid Unicode
            style=style,
            style_hash=_sha256(style),
            script=script,
            script_hash=_sha256(script),
            data={"total": self.counts.total(), "rows": self._rows},
            thumbnails=self._thumbnails,
        )
        write_page(self._page, page)

    def _add(self, outcome: Outcome, folder: Path, photos: Path | None) -> None:
        if photos is None and outcome.source:
            photos = folder / outcome.source
        photo = None if photos is None else photos / outcome.input
        outputs = [folder / output for output in outcome.outputs]
        face = outcome.faces[0] if outcome.faces else {}
        row = {
            "input": outcome.input,
            "status": _status(outcome),
            "reason": outcome.reason,
            "photo": self._link(photo) if photo and photo.exists() else "",
            "outputs": [self._link(output) for output in outputs[:MAX_OUTPUTS]],
            "more": max(0, len(outputs) - MAX_OUTPUTS),
            "face": {name: face[name] for name in FACE_FIELDS if face.get(name) is not None},
        }
        self._pictures.append(Pictures(len(self._rows), (photo, *outputs[:MAX_OUTPUTS])))
        self._rows.append(row)

    def _link(self, file: Path) -> str:
        return os.path.relpath(file, self._page.parent)


def _status(outcome: Outcome) -> str:
    if outcome.status != "skipped":
        return outcome.status
    return "written" if outcome.outputs else "rejected"


def _choose(statuses: list[str], most: int) -> set[int]:
    """Choose the inputs to show: all, or up to ``most``, of which at least half may be rejected or failed ones."""
    written = [number for number, status in enumerate(statuses) if status == "written"]
    others = [number for number, status in enumerate(statuses) if status != "written"]
    chosen = spread_over_subjects(others, max(most // 2, most - len(written)))
    return {*chosen, *spread_over_subjects(written, most - len(chosen))}


def _sha256(text: str) -> str:
    """Return the hash by which the Content-Security-Policy allows an inline script or style."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _load_nothing() -> None:
    cv2.setNumThreads(1)  # the worker processes use all cores


def _thumbnails(side: int, model: None, pictures: Pictures) -> tuple[int, str]:
    return pictures.place, " ".join(_thumbnail(file, side) for file in pictures.files)


def _thumbnail(file: Path | None, side: int) -> str:
    """Return a file fitted into a square, as a base64 WebP; empty if it cannot be read."""
    try:
        if file is None:
            return ""
        photo = Photo(read_bytes(file))
        pixels, _ = photo.pixels(side / max(photo.size))
    except PhotoError:
        return ""
    scale = min(1.0, side / max(pixels.shape[:2]))
    width, height = (max(1, round(length * scale)) for length in (pixels.shape[1], pixels.shape[0]))
    small = np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return base64.b64encode(encode_image(small, ".webp", QUALITY)).decode()
