"""`evaluate --photos`: frontal views made from the photos of which the inputs are crops."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run
from tests.faces import FACES
from tests.pipelines.evaluate.sets import draw_set
from toolkit.photos.decode import read_photo
from toolkit.records.labels import write_labels


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frontal and a turned photo of one person, named as those of the London Set."""
    root = tmp_path_factory.mktemp("photos")
    shutil.copy(FACES / "003_frontal.jpg", root / "003_neutral.jpg")
    shutil.copy(FACES / "003_left_3quarter.jpg", root / "003_neutral_left_3quarter.jpg")
    (root / "people.csv").write_text("id,age,sex,ethnicity\n003,38,female,white\n")
    return root


def test_views_of_photos_are_those_that_batch_writes(photos: Path, run: Run, tmp_path: Path) -> None:
    root = tmp_path / "set"
    more = ["--size", 96, "--workers", 1]
    assert run("pairs", "import", "london", photos, root, *more).exit_code == 0
    words = ["evaluate", root, tmp_path / "page.html", "--model", "raw", "--model", "geometric", "--json"]
    [from_photos, from_crops] = [
        json.loads(run(*words, *option, "--workers", 1).stdout) for option in (["--photos", photos], [])
    ]
    assert (from_photos["photos"], from_crops["photos"]) == (str(photos), None)
    batch = ["batch", photos, tmp_path / "out", "--model", "geometric", "--format", "png", *more]
    assert run(*batch).exit_code == 0
    face = read_photo(tmp_path / "out" / "003_neutral_left_3quarter.png").astype(float)
    [(raw, view), (same_raw, other_view)] = [document["models"] for document in (from_photos, from_crops)]
    assert view["l1"] == pytest.approx(np.abs(face - read_photo(root / "003_neutral.jpg")).mean() / 127.5, abs=1e-5)
    assert raw["l1"] == same_raw["l1"]
    assert view["l1"] != pytest.approx(other_view["l1"], abs=1e-4)


def test_photos_that_are_not_the_sources_are_a_set_up_error(photos: Path, run: Run, tmp_path: Path) -> None:
    root = draw_set(tmp_path / "set", {"ann": {"a": 0.0}}, lambda _, target: target)
    words = ["evaluate", root, tmp_path / "page.html", "--model", "raw", "--photos"]
    rows = [{"file": "ann.png", "role": "target", "subject": "ann"}, {"file": "ann/a.png", "role": "input"}]
    cases: list[tuple[Path, str, str]] = [
        (photos / "none", "", "no such folder"),
        (photos, "", "has no source of ann/a.png"),
        (photos, "b.jpg", "'b.jpg', the source of ann/a.png, is not in it"),
        (photos / "..", "../003_neutral.jpg", "is not in it"),
        (photos, str(photos / "003_neutral.jpg"), "is not in it"),
    ]
    for folder, source, message in cases:
        write_labels(root, [rows[0], {**rows[1], "source": source}])
        result = run(*words, folder)
        assert result.exit_code == 2, (source, result.output)
        assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "page.html").exists()


def test_a_damaged_source_costs_the_view_alone(photos: Path, run: Run, tmp_path: Path) -> None:
    root, source = tmp_path / "set", tmp_path / "photos"
    shutil.copytree(photos, source)
    assert run("pairs", "import", "london", source, root, "--size", 96, "--workers", 1).exit_code == 0
    (source / "003_neutral_left_3quarter.jpg").write_bytes(b"nothing")
    words = ["evaluate", root, tmp_path / "page.html", "--model", "raw", "--model", "geometric", "--json"]
    raw, geometric = json.loads(run(*words, "--photos", source, "--workers", 1).stdout)["models"]
    assert (raw["missing"], geometric["missing"], geometric["reasons"]) == (0, 1, {"not-an-image": 1})
