"""`align` with a user's landmarker or detector, imported in worker processes."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import FRONTALIZE, Run, tree
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.ledger import read_ledger

MODULE = """
from dataclasses import replace
import numpy as np
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.detection import Detection
from toolkit.landmarks.finder import FaceFinder

class MyLandmarker:
    def __init__(self, config):
        self.finder = FaceFinder(config)

    def find(self, photo, every=False):
        return [replace(face, found_by="mine", score=0.123) for face in self.finder.find(photo, every)]

class MyDetector:
    def __init__(self, config):
        self.finder = FaceFinder(FindConfig())

    def find(self, photo):
        found = []
        for face in self.finder.find(photo):
            mesh = face.landmarks[:, :2]
            points = np.stack([mesh[468], mesh[473], mesh[4], mesh[13], mesh[234], mesh[454]])
            found.append(Detection(1.0, *mesh.mean(axis=0).tolist(), face.size * 0.9, points))
        return found

class TooFewPoints(MyLandmarker):
    def find(self, photo, every=False):
        return [replace(face, landmarks=face.landmarks[:68]) for face in super().find(photo, every)]
"""


@pytest.fixture
def source(tmp_path: Path, portrait: Image) -> Path:
    """Two photos, and beside their folder the user's module."""
    (tmp_path / "user_faces.py").write_text(MODULE)
    (tmp_path / "src").mkdir()
    for name, image in (("a.png", portrait), ("b.png", np.ascontiguousarray(portrait[:400, 20:420]))):
        (tmp_path / "src" / name).write_bytes(encode_image(image, ".png"))
    return tmp_path / "src"


@pytest.fixture
def on_path(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(source.parent)


@pytest.mark.slow
def test_a_landmarker_of_ones_own_works_in_worker_processes(source: Path, on_path: None, run: Run) -> None:
    out, built_in = source.parent / "out", source.parent / "built-in"
    result = run("align", source, out, "--landmarker", "user_faces:MyLandmarker", "--workers", 2)
    assert result.exit_code == 0, result.output
    faces = [face for row in read_ledger(out) for face in row.faces]
    assert [(face["pass"], face["score"]) for face in faces] == [("mine", 0.123)] * 2
    assert run("align", source, built_in, "--workers", 1).exit_code == 0
    assert tree(out) == tree(built_in)


@pytest.mark.slow
def test_pythonpath_is_enough_for_a_detector_of_ones_own(source: Path) -> None:
    out = source.parent / "out"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(source.parent), *os.environ.get("PYTHONPATH", "").split()])}
    words = ["--detector", "user_faces:MyDetector", "--min-detection", "1", "--workers", "2"]
    done = subprocess.run([*FRONTALIZE, "align", source, out, *words], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [row.faces[0]["pass"] for row in read_ledger(out)] == ["mydetector"] * 2


@pytest.mark.slow
def test_another_number_of_points_is_told_for_each_photo(source: Path, on_path: None, run: Run) -> None:
    out = source.parent / "out"
    assert run("align", source, out, "--landmarker", "user_faces:TooFewPoints", "--workers", 1).exit_code == 1
    assert {row.reason for row in read_ledger(out)} == {
        "unprocessable: ValueError: landmarks (68, 3): must be (478, 3), the points of MediaPipe's mesh"
    }


def test_a_missing_class_is_a_setup_error(source: Path, on_path: None, run: Run) -> None:
    result = run("align", source, source.parent / "out", "--landmarker", "user_faces:Missing")
    assert result.exit_code == 2
    assert "landmarker user_faces:Missing: user_faces has no class Missing; give module:Class" in result.stderr
    assert not (source.parent / "out").exists()
