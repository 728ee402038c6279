"""`evaluate` as a user runs it."""

import json
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.evaluate.pair_worker import PairJob, PairReader
from tests.conftest import Run
from tests.pipelines.evaluate.sets import draw_set
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image
from toolkit.views.rotate import rotate_view


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory, portrait: Image, landmarker: Landmarker) -> Path:
    """One face under two names that need escaping, turned by 5 and 45 degrees; no labels; one input has no face."""
    root = tmp_path_factory.mktemp("turned")
    [crop] = align_photo(portrait, landmarker, AlignConfig(size=96))
    for subject, side in (("<b>ann & co", 1), ("bea", -1)):
        (root / subject).mkdir()
        (root / f"{subject}.png").write_bytes(encode_image(crop.image, ".png"))
        for yaw in (5, 45):
            view = rotate_view(portrait, crop.face, yaw * side)
            image = warp_crop(view.image, crop_matrix(view.landmarks, 96), 96)
            (root / subject / f"{yaw}.png").write_bytes(encode_image(image, ".png"))
    (root / "bea" / "wall.png").write_bytes(encode_image(np.full((96, 96, 3), 90, np.uint8), ".png"))
    return root


@pytest.mark.slow
def test_rotated_portraits_are_evaluated_from_end_to_end(
    turned: Path, run: Run, tmp_path: Path, monkeypatch: Any
) -> None:
    """With worker processes; the frontal view is the one that `batch` writes, a damaged pair a row."""
    monkeypatch.undo()
    (turned / "bea" / "cut.png").write_bytes((turned / "bea" / "5.png").read_bytes()[:900])
    page = tmp_path / "new" / "page.html"
    result = run("evaluate", turned, page, "--json", "--workers", 1)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    raw, geometric, refined = document["models"]
    assert refined["missing"] == 1
    assert refined["ssim"] != geometric["ssim"]
    assert [row["input"] for row in document["failed"]] == ["bea/cut.png"]
    assert "bea/cut.png" in result.stderr
    assert document["yaw"] == {"labelled": 0, "measured": 4, "unknown": 1}
    assert [(row["from"], row["pairs"]) for row in raw["bins"]] == [(0, 2), (30, 2)]
    assert (raw["missing"], geometric["missing"], geometric["reasons"]) == (0, 1, {"no-face": 1})
    assert geometric["bins"][1]["ssim"] > raw["bins"][1]["ssim"] + 0.1  # turning back helps where something is turned
    words = ["batch", turned, tmp_path / "out", "--model", "geometric", "--size", 96, "--format", "png", "--quiet"]
    run(*words, "--workers", 1)
    faces = {path.name: read_photo(path).astype(float) for path in (tmp_path / "out" / "bea").glob("*.png")}
    target = read_photo(turned / "bea.png")
    rows = {row["input"]: row["l1"] for row in geometric["best"] + geometric["worst"]}
    for name in ("5.png", "45.png"):
        assert rows[f"bea/{name}"] == pytest.approx(np.abs(faces[name] - target).mean() / 127.5, abs=1e-5)
    text = page.read_text()
    assert "&lt;b&gt;ann &amp; co/45.png" in text
    assert "<b>" not in text
    assert "no-face" in text
    assert not re.search(r"(src|href)=.?(?!\"data:)http", text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{root}/none"], "no such folder"),
        (["{root}", "--model", "none.safetensors"], "no such file"),
        (["{root}", "--model", "geometrical"], "none of raw, geometric, refiner"),
        (["{root}", "--by", "age"], "by=age: {root} has no labels.csv"),
        (["{root}", "--model", "raw", "--model", "raw"], "named twice"),
        (["{root}", "--recognizer", "none.onnx"], "recognizer none.onnx: no such file"),
        (["{root}", "--size", "9"], "size=9: must be 16 to 1024"),
        (["{root}", "--batch-size", "0"], "batch_size=0: must be 1 or more"),
        (["{root}", "--workers", "0"], "workers=0: must be 1 or more"),
        (["{root}", "{root}"], "is a folder; give the name of an HTML file"),
        (["{root}", "labels.csv"], "end it in .html"),
        (["{root}", "{root}/bea.png/page.html"], "nothing can be written to {root}/bea.png"),
        (["{root}", "--device", "cuda:9"], "sees"),
    ],
)
def test_wrong_options_exit_with_2(words: list[str], message: str, turned: Path, run: Run, tmp_path: Path) -> None:
    with_page = [word.format(root=turned) for word in words]
    if len(with_page) == 1 or with_page[1].startswith("--"):
        with_page.insert(1, str(tmp_path / "page.html"))
    result = run("evaluate", *with_page)
    assert result.exit_code == 2
    assert message.format(root=turned) in result.stderr.replace("\n", " ")
    assert not (tmp_path / "page.html").exists()


def test_ctrl_c_ends_with_130_and_no_page(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    root = draw_set(tmp_path / "set", {name: {"a": 0.0} for name in "abc"}, lambda _, target: target)
    read = 0

    def interrupted(reader: PairReader, job: PairJob) -> Any:
        nonlocal read
        read += 1
        signal.raise_signal(signal.SIGINT)
        return read_pair(reader, job)

    read_pair = PairReader.read
    monkeypatch.setattr(PairReader, "read", interrupted)
    assert run("evaluate", root, tmp_path / "page.html", "--model", "raw").exit_code == 130
    assert read == 1
    assert not (tmp_path / "page.html").exists()
