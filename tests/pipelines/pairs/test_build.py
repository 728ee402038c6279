import csv
import json
import shutil
from pathlib import Path

import pytest

from pipelines.pairs.build import build_pairs
from pipelines.pairs.config import PairsConfig
from tests.conftest import Run, tree
from toolkit.errors import ConfigError
from toolkit.faces.quality import target_score
from toolkit.geometry.head_pose import Pose
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import read_ledger
from toolkit.records.subjects import read_pairs


@pytest.fixture(scope="module")
def crops(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from typer.testing import CliRunner

    from pipelines.cli import app

    out = tmp_path_factory.mktemp("crops")
    CliRunner().invoke(app, ["align", str(photos), str(out), "--size", "64"])
    return out


def test_folders_become_subjects_with_one_target_each(crops: Path, run: Run, tmp_path: Path) -> None:
    result = run("pairs", "build", crops, tmp_path / "set", "--subjects", "folders", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["written"] == 6
    pairs = read_pairs(tmp_path / "set")
    assert {pair.subject for pair in pairs} == {"ann", "bea"}
    assert len(pairs) == 4
    with (tmp_path / "set" / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    assert [row["role"] for row in labels].count("target") == 2
    assert all(abs(float(row["yaw"])) < 30 for row in labels)
    assert {row["file"] for row in labels} == set(tree(tmp_path / "set")) - {"labels.csv", "README.md"}


@pytest.mark.slow
def test_raw_photos_are_aligned_on_the_way_and_rejects_are_named(photos: Path, run: Run, tmp_path: Path) -> None:
    result = run("pairs", "build", photos, tmp_path / "set", "--subjects", r"^(?P<subject>\w+)/", "--json")
    assert result.exit_code == 1  # cut.jpg failed
    rows = {row.input: row for row in read_ledger(tmp_path / "set")}
    assert rows["coffee.png"].code == "no-face"
    assert rows["cut.jpg"].status == "failed"
    assert len(read_pairs(tmp_path / "set")) == 4
    assert read_photo(tmp_path / "set" / "ann.jpg").shape == (256, 256, 3)
    target = tmp_path / "set" / "ann.jpg"
    assert target.stat().st_nlink == 2  # linked to the working copy: nothing is stored twice


@pytest.mark.slow
def test_leftovers_of_a_kill_and_disks_without_links_do_not_stop_it(
    photos: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / ".ann.jpg.part").write_bytes(b"half")
    words = ["pairs", "build", photos, tmp_path / "set", "--subjects", r"^(?P<subject>ann)/"]
    assert json.loads(run(*words, "--json").stdout)["written"] == 3
    linked = tree(tmp_path / "set")

    def no_links(path: Path, target: Path) -> None:
        raise PermissionError("this disk knows no hard links")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    assert json.loads(run(*words, "--overwrite", "--json").stdout)["written"] == 3
    assert tree(tmp_path / "set") == linked
    assert (tmp_path / "set" / "ann.jpg").stat().st_nlink == 1


@pytest.mark.slow
def test_a_set_beside_its_photos_does_not_feed_on_itself(photos: Path, run: Run, tmp_path: Path) -> None:
    shutil.copytree(photos / "ann", tmp_path / "ann")
    for statuses in ({"written"}, {"skipped"}):
        assert run("pairs", "build", tmp_path, tmp_path / "set", "--subjects", "folders").exit_code == 0
        assert {row.status for row in read_ledger(tmp_path / "set")} == statuses
    assert {pair.subject for pair in read_pairs(tmp_path / "set")} == {"ann"}
    result = run("pairs", "build", tmp_path / "ann", tmp_path, "--subjects", "folders")
    assert result.exit_code == 2
    assert "could overwrite inputs" in result.stderr.replace("\n", " ")


def test_another_target_moves_files_and_leaves_no_stale_ones(crops: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "set"
    for glob, target in (("*0*", "0"), ("*2*", "2"), ("*2*", "2")):
        assert run("pairs", "build", crops, out, "--subjects", "folders", "--target", glob).exit_code == 0
        files = tree(out)
        assert len(files) == 8  # three each, the table, the card
        for subject in ("ann", "bea"):
            assert files[f"{subject}.jpg"] == (crops / subject / f"{target}.jpg").read_bytes()
            assert f"{subject}/{target}.jpg" not in files
    assert {row.status for row in read_ledger(out)} == {"skipped"}


def test_a_table_defines_subjects(crops: Path, run: Run, tmp_path: Path) -> None:
    table = tmp_path / "who.csv"
    table.write_text("file,subject\nann/0.png,x/y\nann/1.jpg,x/y\nbea/0.jpg,z\n")
    assert run("pairs", "build", crops, tmp_path / "set", "--subjects", table).exit_code == 0
    assert {pair.subject for pair in read_pairs(tmp_path / "set")} == {"x-y"}
    reasons = {row.input: row.code for row in read_ledger(tmp_path / "set")}
    assert reasons["bea/0.jpg"] == "single-photo"
    assert reasons["bea/1.jpg"] == "no-subject"


@pytest.mark.parametrize("aligned", [True, False], ids=["crops", "photos"])
@pytest.mark.parametrize(
    ("subjects", "target", "message"),
    [
        ("", "auto", "subjects is empty"),
        ("(", "auto", "nor a regular expression"),
        ("ann", "auto", "needs a group"),
        ("none.csv", "auto", "cannot be read as a CSV"),
        ("^(zzz)", "auto", "'^(zzz)' finds no subject with two photos"),
        ("^(.*)$", "auto", "'^(.*)$' finds no subject with two photos"),
        ("folders", "", "target is empty"),
        ("folders", "zzz*", "--target 'zzz*' matches no photo"),
    ],
)
def test_wrong_subjects_and_targets_are_refused_before_photos_are_aligned(
    subjects: str, target: str, message: str, aligned: bool, crops: Path, photos: Path, run: Run, tmp_path: Path
) -> None:
    source = crops if aligned else photos
    result = run("pairs", "build", source, tmp_path / "set", "--subjects", subjects, "--target", target)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "set").exists()


def test_wrong_subjects_of_a_synthetic_set_are_refused_before_work_starts(
    photos: Path, run: Run, tmp_path: Path
) -> None:
    result = run("pairs", "synth", photos, tmp_path / "set", "--subjects", "none.csv")
    assert result.exit_code == 2
    assert "--subjects none.csv: cannot be read" in result.stderr.replace("\n", " ")
    assert not (tmp_path / "set").exists()


def test_the_best_target_is_frontal_sharp_and_neutral() -> None:
    best = target_score(Pose(0, 0, 0), 200, 0.3, 0.0)
    assert best == 1.0
    assert best > target_score(Pose(20, 0, 30), 200, 0.3, 0.0) > target_score(Pose(40, 0, 0), 200, 0.3, 0.0) > 0
    assert target_score(Pose(90, 0, 0), 200, 0.3, 0.0) == 0
    assert target_score(Pose(0, 0, 0), 10, 0.3, 0.0) < 0.2
    assert target_score(Pose(0, 0, 0), 200, 0.05, 0.0) < 0.3
    assert target_score(Pose(0, 0, 0), 200, 0.3, 0.1) == 0.5


def test_crops_of_a_ledger_that_was_changed_are_refused_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"mine")
    crops = tmp_path / "crops"
    crops.mkdir()
    face = dict.fromkeys(("yaw", "pitch", "roll", "sharpness", "eyes_open", "mouth_open"), 0.1)
    rows = [
        {"input": "a/1.jpg", "status": "written", "outputs": ["../secret.jpg"], "faces": [face]},
        {"input": "a/2.jpg", "status": "written", "outputs": ["a/2.jpg", "a/3.jpg"], "faces": [{"sharpness": 1}]},
    ]
    (crops / "ledger.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    with pytest.raises(ConfigError, match="finds no subject with two photos among 0 crops"):
        build_pairs(crops, crops, tmp_path / "set", PairsConfig(subjects="folders"), overwrite=False)
