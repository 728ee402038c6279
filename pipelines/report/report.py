"""Stage: an output folder, to look at: one HTML page with every input before and after, and why some were rejected.

The page is ``report.html`` beside this file, with three blocks of data in it: what the ledger says, and the
thumbnails, each input's in a block of its own, which the browser decodes only where it shows them.
"""

import base64
import hashlib
import html
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pipelines.report.config import ReportConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import ConfigError, PhotoError
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.files import encode_image, write_whole
from toolkit.records.ledger import Outcome, sorted_outcomes
from toolkit.records.subjects import spread_over_subjects

SIDES = ((160, 2_000), (128, 6_000), (96, None))  # px of a thumbnail's longer side, up to so many of them
QUALITY = 70  # of WebP
MOST_OUTPUTS = 12  # shown of one input
SHOWN = ("yaw", "pitch", "roll", "score", "sharpness")  # of a face


@dataclass(frozen=True, slots=True)
class Pictures:
    """The files of one input that thumbnails are made of."""

    place: int  # on the page, from 0
    files: tuple[Path | None, ...]  # the photo, None where nobody knows where it is; then the outputs


class Report:
    """A page about an output folder.

    Args:
        folder: with the ledger of its run.
        page: the HTML file; its links to photos and outputs are relative.
        config: what goes onto it.

    Attributes:
        counts: all inputs by what became of them; those that a later run skipped count as before.

    Raises:
        ConfigError: no ledger, or the page's name is a folder's.
    """

    def __init__(self, folder: Path, page: Path, config: ReportConfig) -> None:
        if page.is_dir():
            raise ConfigError(f"OUT {page}: is a folder; give the name of an HTML file")
        kinds = [_status(outcome) for outcome in sorted_outcomes(folder)]
        if not kinds:
            raise ConfigError(f"DIR {folder}: no ledger.jsonl in it; give the OUT of align, batch or pairs")
        self.counts = Counter(kinds)
        self._title, self._page = folder.resolve().name, page
        self._rows: list[dict[str, Any]] = []
        self._pictures: list[Pictures] = []
        chosen = _chosen(kinds, config.most)
        for number, outcome in enumerate(sorted_outcomes(folder)):  # once more: a million rows are no list to keep
            if number in chosen:
                self._add(outcome, folder, config.photos)
        self._thumbnails = [""] * len(self)

    def __len__(self) -> int:
        return len(self._rows)

    def draw(self, workers: int, stop: Stop) -> Iterator[None]:
        """Make the thumbnails in worker processes; yields after each input."""
        pictures = sum(len(each.files) for each in self._pictures)
        side = next(side for side, most in SIDES if most is None or pictures <= most)
        for result in run_in_workers(partial(_open_thumbnails, side), self._pictures, workers, stop):
            if not isinstance(result, Crash):  # which leaves the input without pictures
                place, self._thumbnails[place] = result
            yield

    def write(self) -> None:
        """Write the page, whole or not at all.

        Raises:
            ConfigError: it cannot be written.
        """
        template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
        script, style = (_hash_of(template, tag) for tag in ("script", "style"))
        rows = json.dumps({"total": self.counts.total(), "rows": self._rows}, separators=(",", ":"))
        blocks = (
            f'<script type="text/plain" id="t{place}">{text}</script>' for place, text in enumerate(self._thumbnails)
        )
        parts = {
            "policy": f"default-src 'none'; img-src data:; script-src {script}; style-src {style}",
            "title": html.escape(self._title.encode(errors="replace").decode()),  # the name may be no Unicode
            "rows": rows.replace("<", "\\u003c"),  # or a file whose name has </script> in it would end the block
            "thumbnails": "\n".join(blocks),
        }
        page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)  # in one go: names may hold braces too
        try:
            write_whole(self._page, page)
        except OSError as error:
            raise ConfigError(f"OUT {self._page}: cannot be written ({error.strerror})") from error

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
            "outputs": [self._link(output) for output in outputs[:MOST_OUTPUTS]],
            "more": max(0, len(outputs) - MOST_OUTPUTS),
            "face": {name: face[name] for name in SHOWN if face.get(name) is not None},
        }
        self._pictures.append(Pictures(len(self._rows), (photo, *outputs[:MOST_OUTPUTS])))
        self._rows.append(row)

    def _link(self, file: Path) -> str:
        return os.path.relpath(file, self._page.parent)


def _status(outcome: Outcome) -> str:
    if outcome.status != "skipped":
        return outcome.status
    return "written" if outcome.outputs else "rejected"


def _chosen(kinds: list[str], most: int) -> set[int]:
    """Numbers of the inputs that are shown: all, or up to a half of them unusable ones, and the others."""
    usable = [number for number, kind in enumerate(kinds) if kind == "written"]
    unusable = [number for number, kind in enumerate(kinds) if kind != "written"]
    shown = spread_over_subjects(unusable, max(most // 2, most - len(usable)))
    return {*shown, *spread_over_subjects(usable, most - len(shown))}


def _hash_of(template: str, tag: str) -> str:
    """What lets the page's own script or style run, and nothing else: its hash, for the policy."""
    text = template.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _open_thumbnails(side: int) -> Callable[[Pictures], tuple[int, str]]:
    cv2.setNumThreads(1)  # the worker processes fill the cores

    def work(pictures: Pictures) -> tuple[int, str]:
        return pictures.place, " ".join(_thumbnail(file, side) for file in pictures.files)

    return work


def _thumbnail(file: Path | None, side: int) -> str:
    """Base64 of a WebP, fitted into a square; empty where there is no picture."""
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
