"""The confidence of a face in the ledger, and `batch --min-confidence`."""

import json
from pathlib import Path

import numpy as np

from pipelines.batch.config import FrontalizeConfig
from pipelines.batch.writing import PhotoFaces, write_faces
from pipelines.photo_jobs.job import process_photo
from pipelines.photo_jobs.pastes import PasteableViews
from pipelines.runtime.plan import Job
from pipelines.weights.generator import GeneratedFace
from tests.conftest import Run, tree
from tests.pipelines.batch.conftest import CONFIDENCE
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.records.ledger import Outcome, read_ledger


def test_a_face_below_the_bound_is_rejected_with_value_and_bound(
    small_photos: Path, brightening: Path, run: Run, tmp_path: Path
) -> None:
    """Another bound is another setting: the photos are processed again."""
    words = ["batch", small_photos, tmp_path / "out", "--model", brightening, "--size", 64, "--workers", 1, "--json"]
    assert json.loads(run(*words, "--min-confidence", 0.61).stdout)["reasons"] == {"low-confidence": 2}
    assert {row.reason for row in read_ledger(tmp_path / "out")} == {
        "low-confidence: 0.600, below --min-confidence 0.61"
    }
    assert tree(tmp_path / "out") == {}
    assert json.loads(run(*words, "--min-confidence", CONFIDENCE).stdout)["written"] == 2
    written = tree(tmp_path / "out")
    assert json.loads(run(*words).stdout)["written"] == 2
    assert tree(tmp_path / "out") == written
    assert [row.faces[0]["confidence"] for row in read_ledger(tmp_path / "out")] == [CONFIDENCE] * 2


def pasted(source: Path, out: Path, confidences: list[float], least: float) -> Outcome:
    """Paste two white faces with these confidences."""
    photo = process_photo(source, PasteableViews(64, 45), Job("pair.png", "pair"))
    views = photo.required_output().views
    faces = [
        GeneratedFace(np.full_like(view.network_inputs[0], 255), confidence)
        for view, confidence in zip(views, confidences, strict=True)
    ]
    config = FrontalizeConfig(model="refiner", paste_back=True, min_confidence=least, format="png")
    return write_faces(source, out, config, "", PhotoFaces(photo, faces))


def test_a_pasted_face_below_the_bound_stays_as_it_is(small_photos: Path, tmp_path: Path) -> None:
    single = read_photo(small_photos / "0.jpg")
    pair = np.hstack([single, single[:, ::-1]])
    (tmp_path / "pair.png").write_bytes(encode_image(pair, ".png"))
    outcome = pasted(tmp_path, tmp_path / "out", [0.9, 0.4004], 0.5)
    assert [(face["pasted"], face["confidence"]) for face in outcome.faces] == [(True, 0.9), (False, 0.4)]
    changed = (read_photo(tmp_path / "out" / "pair.png") != pair).any(axis=(0, 2))
    middle = single.shape[1]
    assert changed[:middle].any()
    assert not changed[middle + middle // 3 :].any()
    outcome = pasted(tmp_path, tmp_path / "none", [0.3, 0.4004], 0.5)
    assert outcome.status == "rejected"
    assert outcome.reason == "low-confidence: the best of 2 faces has 0.400, below --min-confidence 0.5"
    assert not (tmp_path / "none").exists()
