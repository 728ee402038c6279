import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.demo_photos import PHOTOS, draw_photos
from pipelines.html import TILE
from pipelines.report.contact_sheet import Strip, contact_sheet
from tests.conftest import Run, tree
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import read_ledger


@pytest.mark.slow
def test_the_photos_are_many_and_the_same_every_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        draw_photos(tmp_path / folder)
    files = tree(tmp_path / "one")
    assert files == tree(tmp_path / "two")
    assert len(files) == PHOTOS + 1
    assert len({hashlib.sha256(data).digest() for data in files.values()}) == PHOTOS + 1
    jpegs = [data for name, data in files.items() if name.endswith(".jpg")]
    orientations = [Image.open(io.BytesIO(data)).getexif().get(0x0112) for data in jpegs]
    assert orientations.count(6) == 1


@pytest.mark.slow
def test_the_whole_line_stands(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """End to end, as `make demo` runs it, with a training run too short to look at."""
    monkeypatch.setattr("pipelines.commands.demo.STEPS", 2)
    result = run("demo", tmp_path, "--workers", 2)
    assert result.exit_code == 0, result.output
    assert "33 photos: 32 written, 1 rejected (no-face 1)" in result.output
    for folder in ("frontal", "learned"):
        assert {row.code for row in read_ledger(tmp_path / folder) if not row.outputs} == {"no-face"}
    sheet = read_photo(tmp_path / "contact-sheet.png")
    assert sheet.shape[1] > 10 * TILE
    page = (tmp_path / "report.html").read_text()
    assert page.count("UklGR") == 33 + 32  # how every WebP begins in base64
    assert "no-face: none found" in page
    again = run("demo", tmp_path, "--workers", 2)
    assert "33 photos: 33 skipped" in again.output


def test_a_contact_sheet_shows_pictures_whole() -> None:
    wide, tall = np.full((50, 100, 3), 9, np.uint8), np.full((300, 100, 3), 9, np.uint8)
    sheet = contact_sheet([Strip("both", [wide, tall]), Strip("one", [wide])])
    assert (sheet == 9).all(axis=2).sum() == TILE * (TILE // 2) * 2 + TILE * round(TILE / 3)
