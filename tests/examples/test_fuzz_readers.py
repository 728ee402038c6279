"""A short, always equal run of examples/fuzz_readers.py; the long ones are done by hand."""

import importlib.util
import json
import random
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.conftest import Run
from tests.examples.conftest import EXAMPLES, example_alone
from tests.toolkit.photos.encoded import saved
from toolkit.photos.files import encode_image, list_photos, write_atomic
from toolkit.records.ledger import read_ledger


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_readers", EXAMPLES / "fuzz_readers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def seeds(portrait: NDArray[np.uint8]) -> list[bytes]:
    small = portrait[100:140, 200:248]
    exif = Image.Exif()
    exif[0x0112] = 6
    ours = [encode_image(small, suffix) for suffix in (".jpg", ".png", ".webp")]
    forms = ["BMP", "GIF", "TIFF", "JPEG2000", "PPM", "TGA"]
    return [
        *ours,
        *(saved(Image.fromarray(small), form) for form in forms),
        saved(Image.fromarray(small), "JPEG", exif=exif),
    ]


def test_damaged_photos_raise_nothing_but_errors_of_ours(fuzz: ModuleType, seeds: list[bytes]) -> None:
    seen: Counter[str] = Counter()
    for number in range(1500):
        rng = random.Random(f"0 {number}")
        seen[fuzz.read_photo(fuzz.mutate(rng.choice(seeds), seeds, rng))] += 1
    assert seen["read"] > 100 and seen["unreadable"] > 100 and seen["not-an-image"] > 100


def test_damaged_ledgers_raise_nothing_and_lead_nowhere(fuzz: ModuleType, tmp_path: Path) -> None:
    rows, seen = fuzz.ledger_seeds(), Counter[str]()
    for number in range(500):
        rng = random.Random(f"0 {number}")
        seen[fuzz.read_rows(fuzz.mutate(rng.choice(rows), rows, rng, fuzz.WORDS), tmp_path)] += 1
    assert seen["0 rows"] > 50 and seen["1 rows"] + seen["2 rows"] > 50


def test_a_crash_is_kept(fuzz: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError):
        fuzz.guarded(lambda data: str(1 // 0), b"bad", Counter())
    assert [path.read_bytes() for path in tmp_path.glob("crash-*")] == [b"bad"]


def test_the_script_fuzzes_photos_and_ledgers(seeds: list[bytes], tmp_path: Path) -> None:
    for number, data in enumerate(seeds):
        (tmp_path / str(number)).write_bytes(data)
    assert "50" in example_alone("fuzz_readers.py", "photo", tmp_path, "--runs", 50)
    assert "50" in example_alone("fuzz_readers.py", "ledger", "--runs", 50)


@pytest.mark.slow
def test_four_commands_over_damaged_photos_crash_nowhere_and_lose_nothing(
    fuzz: ModuleType, seeds: list[bytes], photos: Path, tmp_path: Path, run: Run
) -> None:
    portraits = [(photos / "ann" / f"{number}.jpg").read_bytes() for number in range(3)]
    for number in range(36):
        rng = random.Random(f"run {number}")
        data = fuzz.mutate(rng.choice(seeds), seeds, rng)
        write_atomic(
            tmp_path / "in" / f"s{number % 6}" / f"{number}.jpg", data if number % 6 else portraits[number % 3]
        )
    inputs = set(list_photos(tmp_path / "in")[0])
    for words in (
        ("align", tmp_path / "in", tmp_path / "align", "--no-retries"),
        ("batch", tmp_path / "in", tmp_path / "batch", "--model", "geometric"),
        ("pairs", "build", tmp_path / "in", tmp_path / "pairs", "--subjects", "folders"),
    ):
        result = run(*words, "--json", "--workers", 1)
        assert result.exit_code == 1, result.output
        rows = read_ledger(tmp_path / str(words[1 if words[0] == "pairs" else 0]).replace("build", "pairs"))
        assert {row.input for row in rows} == inputs
        assert all(row.outputs or re.match(r"[a-z-]+: .{10}", row.reason) for row in rows)
    for folder in ("pairs", "in"):
        found = run("pairs", "verify", tmp_path / folder, "--json", "--no-faces", "--workers", 1)
        assert found.exit_code == 1, found.output
        counts = json.loads(found.stdout)["counts"]
        assert (counts.get("unreadable", 0) > 5) == (folder == "in"), counts
    assert run("report", tmp_path / "align", tmp_path / "page.html").exit_code == 0
