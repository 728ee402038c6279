"""A correct paired set, and the same set with every kind of damage that `pairs verify` finds."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.pairs.config import VerifyConfig
from pipelines.pairs.verification.verify import Verification
from pipelines.pairs.verification.verify_worker import FileInfo, FileInspector
from tests.conftest import Run
from tests.pipelines.pairs.conftest import PEOPLE, inspect_with
from toolkit.errors import ConfigError, DatasetError
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.duplicates import find_duplicate_pairs, signature
from toolkit.photos.files import encode_image
from toolkit.records.labels import LABELS
from toolkit.records.subjects import read_pairs

Verify = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="module")
def verify(landmarker: Landmarker) -> Verify:
    """All that `pairs verify` does but for its worker processes; the same bytes are inspected once."""
    known: dict[tuple[str, bytes | None], FileInfo] = {}

    def inspected(root: Path, file: str) -> FileInfo:
        key = file, (root / file).read_bytes() if (root / file).is_file() else None
        if key not in known:
            known[key] = inspect_with(root, landmarker)(file)
        return known[key]

    def verified(root: Path) -> dict[str, Any]:
        verification = Verification(root, VerifyConfig(workers=1))
        return verification.summarize([inspected(root, file) for file in verification.entries])

    return verified


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:900])


def _resize(path: Path) -> None:
    path.write_bytes(encode_image(np.ascontiguousarray(read_photo(path)[::2, ::2]), ".jpg"))


def _shift(path: Path) -> None:
    path.write_bytes(encode_image(np.roll(read_photo(path), 32, axis=0), ".jpg"))


def _blank(path: Path) -> None:
    path.write_bytes(encode_image(np.full((128, 128, 3), 90, np.uint8), ".jpg"))


def _swap(one: Path, other: Path) -> None:
    mine, theirs = one.read_bytes(), other.read_bytes()
    one.write_bytes(theirs)
    other.write_bytes(mine)


BREAKS: dict[str, tuple[Callable[[Path], object], str, list[str]]] = {
    "a target deleted": (lambda root: (root / "bea.jpg").unlink(), "orphan-inputs", ["bea/"]),
    "its row without it": (lambda root: (root / "bea.jpg").unlink(), "missing", ["bea.jpg"]),
    "a target too many": (lambda root: shutil.copy(root / "bea.jpg", root / "b.jpg"), "orphan-target", ["b.jpg"]),
    "two targets": (
        lambda root: shutil.copy(root / "bea.jpg", root / "bea.jpeg"),
        "two-targets",
        ["bea.jpg", "bea.jpeg"],
    ),
    "targets swapped": (
        lambda root: _swap(root / "ann.jpg", root / "dora.jpg"),
        "mispaired",
        ["ann.jpg", "dora.jpg"],
    ),
    "a file cut short": (lambda root: _truncate(root / "carl/left.jpg"), "unreadable", ["carl/left.jpg"]),
    "a file resized": (lambda root: _resize(root / "carl/left.jpg"), "odd-size", ["carl/left.jpg"]),
    "a crop moved": (lambda root: _shift(root / "carl.jpg"), "wrong-crop", ["carl.jpg"]),
    "a target without a face": (lambda root: _blank(root / "carl.jpg"), "no-face", ["carl.jpg"]),
    "a turned target": (
        lambda root: shutil.copy(root / "dora/left.jpg", root / "dora.jpg"),
        "turned-target",
        ["dora.jpg"],
    ),
    "another picture": (lambda root: _shift(root / "ann/left.jpg"), "changed", ["ann/left.jpg"]),
    "a picture of two people": (
        lambda root: shutil.copy(root / "ann/left.jpg", root / "bea/left.jpg"),
        "duplicate",
        ["ann/left.jpg", "bea/left.jpg"],
    ),
    "a picture twice": (
        lambda root: shutil.copy(root / "ann/left.jpg", root / "ann/again.jpg"),
        "duplicate-input",
        ["ann/again.jpg", "ann/left.jpg"],
    ),
    "an unlisted file": (
        lambda root: shutil.copy(root / "ann/left.jpg", root / "ann/again.jpg"),
        "unlisted",
        ["ann/again.jpg"],
    ),
    "a damaged table": (lambda root: (root / LABELS).write_text("who,what\n1,2\n"), "bad-labels", [LABELS]),
}


def test_a_correct_set_has_no_defects_and_a_note_on_its_sorted_order(good: Path, verify: Verify) -> None:
    """`ann` and `ann-marie` sort one way as folders and the other way as files: by position they would be swapped."""
    found = verify(good)
    assert found["defects"] == []
    assert (found["files"], found["subjects"], found["inputs"]) == (15, 5, 10)
    [note] = found["notes"]
    assert note["code"] == "sorted-order"
    assert "2 subjects would mispair" in note["detail"]
    assert set(note["files"]) == {"ann/", "ann-marie/"}


@pytest.mark.parametrize("name", BREAKS)
def test_every_kind_of_damage_is_found_with_its_files_and_a_remedy(
    name: str, good: Path, verify: Verify, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    damage, code, files = BREAKS[name]
    damage(root)
    found = verify(root)
    assert any(row["code"] == code and set(row["files"]) == set(files) for row in found["defects"]), found["defects"]
    assert all(row["way_out"] and row["detail"] for row in found["defects"])


@pytest.mark.slow
def test_a_person_in_two_splits_is_found(good: Path, verify: Verify, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    assert run("pairs", "split", root, "--val", "2").exit_code == 0
    assert verify(root)["defects"] == []
    assert verify(root)["parts"] == {"train": 6, "val": 4}
    [person, other] = (path.stem for path in (root / "val").glob("*.jpg"))
    shutil.copy(root / "val" / f"{person}.jpg", root / "train")
    shutil.copytree(root / "val" / person, root / "train" / person)
    found = verify(root)
    assert {"code": "split-person", "files": [f"train/{person}", f"val/{person}"]}.items() <= _row(
        found, "split-person"
    ).items()
    shutil.rmtree(root / "train" / person)
    (root / "train" / f"{person}.jpg").unlink()
    shutil.rmtree(root / "val" / other)
    (root / "val" / f"{other}.jpg").unlink()
    assert _row(verify(root), "stale-split")["files"] == [other]
    victim = next(path for path in (root / "train").iterdir() if path.is_dir())
    shutil.copy(root / "val" / person / "left.jpg", victim / "strange.jpg")
    files = {f"{person}/left.jpg", f"train/{victim.name}/strange.jpg"}
    assert set(_row(verify(root), "split-duplicate")["files"]) == files


def test_orphans_that_leave_equal_counts_are_reported_as_mispaired_by_position(
    good: Path, verify: Verify, tmp_path: Path
) -> None:
    """As many folders as targets, one of each alone: pairing by position gives everyone in between a wrong target."""
    root = Path(shutil.copytree(good, tmp_path / "set"))
    (root / "ann.jpg").unlink()
    shutil.copy(good / "ann.jpg", root / "zoe.jpg")
    found = verify(root)
    assert {row["code"] for row in found["defects"]} >= {"orphan-inputs", "orphan-target"}
    [note] = [row for row in found["notes"] if row["code"] == "sorted-order"]
    assert "by position" in note["detail"]
    assert len(note["files"]) >= 4


@pytest.mark.slow
def test_the_command_prints_defects_and_exits_with_1(good: Path, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    assert run("pairs", "verify", root, "--no-faces").exit_code == 0
    _truncate(root / "carl/left.jpg")
    result = run("pairs", "verify", root, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["counts"] == {"unreadable": 1}
    assert "carl/left.jpg" in result.stderr
    assert "Remedy" in result.stderr
    assert run("pairs", "verify", tmp_path / "none").exit_code == 2
    for name, message in (("none.onnx", "no such file"), ("bad.onnx", "not an ONNX file")):
        (tmp_path / "bad.onnx").touch()
        result = run("pairs", "verify", root, "--recognizer", tmp_path / name)
        assert result.exit_code == 2 and message in result.stderr.replace("\n", " ")


@pytest.mark.slow
def test_a_recognizer_finds_people_under_a_wrong_name(shared: Path, run: Run, tmp_path: Path) -> None:
    recognizer = shared / "models" / "mobilefacenet_112x96.onnx"
    root, subjects = tmp_path / "set", ["C001035", "C001056", "D000096", "R000575"]
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted((shared / "portraits").iterdir()):
        if path.name.split("__")[0] in subjects:
            shutil.copy(path, photos)
    assert run("pairs", "build", photos, root, "--subjects", "^(.+)__").exit_code == 0
    names = sorted({pair.subject for pair in read_pairs(root)})[:2]
    inputs = [next(pair.input for pair in read_pairs(root) if pair.subject == name) for name in names]
    _swap(root / inputs[0], root / inputs[1])
    (root / LABELS).unlink()  # as in sets of other programs, without hashes
    result = run("pairs", "verify", root, "--recognizer", recognizer, "--json")
    assert result.exit_code == 1
    mixed = [row["files"][0] for row in json.loads(result.stdout)["defects"] if row["code"] == "mix-up"]
    assert set(inputs) <= set(mixed)


def test_bad_settings_are_set_up_errors(good: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers=0"):
        VerifyConfig(workers=0)
    with pytest.raises(DatasetError, match="no images"):
        Verification(tmp_path, VerifyConfig(workers=1))
    assert FileInspector(good, False, None).inspect("ann.jpg").size == (128, 128)


def test_copies_look_the_same_and_other_pictures_do_not(good: Path) -> None:
    images = [read_photo(good / f"{person}.jpg") for person in PEOPLE]
    brighter = np.clip(images[1] * 1.1, 0, 255).astype(np.uint8)
    signatures = [signature(image) for image in [*images, brighter, images[2][::2, ::2]]]
    assert find_duplicate_pairs(signatures) == [(1, 5), (2, 6)]


def _row(found: dict[str, Any], code: str) -> dict[str, Any]:
    return next(row for row in found["defects"] if row["code"] == code)
