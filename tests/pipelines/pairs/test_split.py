"""A split is by person, complete, and the same in every run."""

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Run, tree
from tests.pipelines.pairs.conftest import PEOPLE
from toolkit.records.labels import LABELS, read_labels, write_labels
from toolkit.records.subjects import read_pairs


def test_a_split_is_by_person_complete_and_the_same_each_time(good: Path, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    labels = read_labels(root)
    rows = [{name: values[number] for name, values in labels.columns.items()} for number in labels.rows.values()]
    write_labels(root, [row | {"person": "a" if row["subject"].startswith("ann") else row["subject"]} for row in rows])
    first = run("pairs", "split", root, "--val", "50%", "--json")
    assert first.exit_code == 0, first.stderr
    before = {part: tree(root / part) for part in ("train", "val")}
    assert json.loads(run("pairs", "split", root, "--val", "50%", "--json").stdout) == json.loads(first.stdout)
    assert {part: tree(root / part) for part in ("train", "val")} == before
    subjects = {part: {pair.subject for pair in read_pairs(root / part)} for part in ("train", "val")}
    assert not subjects["train"] & subjects["val"]
    assert subjects["train"] | subjects["val"] == set(PEOPLE)
    assert any({"ann", "ann-marie"} <= side for side in subjects.values())
    assert (root / "val" / f"{min(subjects['val'])}.jpg").stat().st_nlink == 2
    with (root / "val" / LABELS).open() as file:
        assert {row["file"] for row in csv.DictReader(file)} == set(before["val"]) - {LABELS}
    assert len(read_pairs(root)) == 10  # the whole set is still what it was
    assert run("pairs", "split", root, "--val", "1").exit_code == 0  # another share: nothing stale stays
    assert len({pair.subject for pair in read_pairs(root / "val")}) in (1, 2)
    assert len(read_pairs(root / "train")) + len(read_pairs(root / "val")) == 10


@pytest.mark.parametrize(
    "share", ["0", "0%", "100%", "5", "99%", "-3", "2.5", "half", "", "nan", "nan%", "inf", "inf%", "1e400"]
)
def test_a_split_that_leaves_a_side_empty_is_refused(share: str, good: Path, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    result = run("pairs", "split", root, "--val", share)
    assert result.exit_code == 2
    assert f"val={share!r}: " in result.stderr
    assert not (root / "train").exists()


def test_a_split_that_the_set_defines_does_not_hide_a_wrong_option(good: Path, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    (root / LABELS).write_text("file,subject,role,partition\nann.jpg,ann,target,val\n")
    assert run("pairs", "split", root, "--val", "nan").exit_code == 2
    assert run("pairs", "split", root, "--val", "10%").exit_code == 0


def test_columns_of_a_users_own_are_split_and_merged(good: Path, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    (root / LABELS).write_text("file,subject,role,tone\nann.jpg,ann,target,tan\nbea.jpg,bea,target,light\n")
    assert run("pairs", "split", root, "--val", "2").exit_code == 0
    assert run("pairs", "merge", root / "train", root / "val", tmp_path / "both").exit_code == 0
    labels = read_labels(tmp_path / "both")
    assert [labels.text("tone", file) for file in ("ann.jpg", "bea.jpg")] == ["tan", "light"]


def test_names_that_are_no_unicode_are_split(good: Path, run: Run, tmp_path: Path) -> None:
    root, odd = tmp_path / "set", os.fsdecode(b"b\xff")
    shutil.copytree(good, root)
    (root / "bea").rename(root / odd)
    (root / "bea.jpg").rename(root / f"{odd}.jpg")
    (root / LABELS).unlink()
    assert run("pairs", "split", root, "--val", "2").exit_code == 0
    assert len(read_pairs(root / "train")) + len(read_pairs(root / "val")) == 10


def test_a_set_that_cannot_be_written_is_a_set_up_error(
    good: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("toolkit.photos.files.link_or_copy", full)
    result = run("pairs", "split", Path(shutil.copytree(good, tmp_path / "set")))
    assert result.exit_code == 2 and "cannot be written (No space left on device)" in result.stderr.replace("\n", " ")


def test_the_column_partition_of_a_set_defines_its_splits(good: Path, run: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(good, tmp_path / "set"))
    labels = read_labels(root)
    rows = [{name: values[number] for name, values in labels.columns.items()} for number in labels.rows.values()]
    given = {"ann": "val", "ann-marie": "test"}
    write_labels(root, [row | {"partition": given.get(row["subject"], "train")} for row in rows])
    assert run("pairs", "split", root).exit_code == 0
    assert {pair.subject for pair in read_pairs(root / "test")} == {"ann-marie"}
    assert {pair.subject for pair in read_pairs(root / "val")} == {"ann"}
