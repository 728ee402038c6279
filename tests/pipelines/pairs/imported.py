"""Drawn photos for `pairs import`, and what it wrote."""

import csv
from pathlib import Path

import numpy as np

from toolkit.photos.files import encode_image
from toolkit.records.ledger import read_ledger


def drawn(path: Path, size_wh: tuple[int, int] = (48, 48), seed: int = 0) -> Path:
    """A picture of nothing, the same for the same seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size_wh[1], size_wh[0], 3), np.uint8)
    path.write_bytes(encode_image(pixels, path.suffix))
    return path


def table(root: Path) -> dict[str, dict[str, str]]:
    with (root / "labels.csv").open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def codes(root: Path) -> dict[str, str]:
    return {row.input: row.code for row in read_ledger(root)}
