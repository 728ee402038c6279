"""`pairs views`, on the London faces of tests/data."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import FRONTALIZE, Run, tree
from tests.faces import FACES
from tests.killing import end_halfway, rows_in
from tests.pipelines.pairs.imported import codes, drawn, table
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.records.labels import read_labels, write_labels
from toolkit.records.subjects import mask_of, read_pairs, unmirrored_of

SIZE = 64  # px
NAMES = ("003_frontal", "003_left_3quarter", "030_frontal", "030_left_profile")
OPTIONS = ("--size", SIZE, "--variants", 2, "--degrade", 0.5, "--format", "png", "--workers", 1)


@pytest.fixture(scope="module")
def london(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, each frontal and turned, in PHOTOS; a third photo that SET does not name; SET, their pairs."""
    root = tmp_path_factory.mktemp("london")
    (root / "photos" / "more").mkdir(parents=True)
    for name in (*NAMES, "021_frontal"):
        shutil.copy(FACES / f"{name}.jpg", root / "photos" / "more" / f"{name}.jpg")
    rows = []
    for name in NAMES:
        person, view = name.split("_", 1)
        file = f"{person}.jpg" if view == "frontal" else f"{person}/{view}.jpg"
        (root / "set" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(FACES / f"{name}.jpg", root / "set" / file)
        row = {"file": file, "subject": person, "role": "input" if "/" in file else "target", "view": view, "age": "24"}
        rows.append(row | {"person": f"p{person}", "source": f"more/{name}.jpg"})
    write_labels(root / "set", rows)
    return root


@pytest.fixture(scope="module")
def drawn_views(london: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("views") / "set"
    result = run("pairs", "views", london / "set", london / "photos", out, *OPTIONS, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["written"] == 4
    return out


def test_inputs_are_views_of_the_set_s_inputs_with_masks(drawn_views: Path) -> None:
    pairs = read_pairs(drawn_views)
    assert [(pair.input, pair.target) for pair in pairs] == [
        *((f"003/left_3quarter-00{number}.png", "003.png") for number in (0, 1)),
        *((f"030/left_profile-00{number}.png", "030.png") for number in (0, 1)),
    ]
    for pair in pairs:
        view, target = (read_photo(drawn_views / name).astype(int) for name in (pair.input, pair.target))
        mask = read_photo(drawn_views / mask_of(pair.input))[..., 0].astype(int)
        unmirrored = read_photo(drawn_views / unmirrored_of(pair.input))
        assert view.shape == target.shape == unmirrored.shape == (SIZE, SIZE, 3) and mask.shape == (SIZE, SIZE)
        assert np.abs(view - target)[10:55, 16:48].mean() < 50  # the face is where the frontal photo has it
        assert (
            mask[20:46, 34:52].mean() > mask[20:46, 12:30].mean() + 20
        )  # turned to their right: the left half is near


def test_labels_name_person_view_and_photo(drawn_views: Path) -> None:
    rows = table(drawn_views)
    row = rows["030/left_profile-001.png"]
    assert (row["person"], row["view"], row["age"]) == ("p030", "left_profile", "24")
    assert (row["source"], row["subject"], row["role"]) == ("more/030_left_profile.jpg", "030", "input")
    assert float(row["yaw"]) < -60
    assert {row["role"] for name, row in rows.items() if "/" not in name} == {"target"}
    assert set(codes(drawn_views)) == {f"more/{name}.jpg" for name in NAMES}


def test_variants_are_degraded_in_different_ways(drawn_views: Path) -> None:
    one, other = (read_photo(drawn_views / f"003/left_3quarter-00{number}.png").astype(int) for number in (0, 1))
    assert 0.5 < np.abs(one - other).mean() < 20


def test_a_new_backdrop_is_the_same_behind_a_subjects_views_and_target_and_leaves_the_faces(
    london: Path, drawn_views: Path, run: Run, tmp_path: Path
) -> None:
    words = ("pairs", "views", london / "set", london / "photos", tmp_path / "set", *OPTIONS, "--new-backdrop")
    assert run(*words).exit_code == 0
    backdrops = []
    for pair in read_pairs(tmp_path / "set"):
        if not pair.input.endswith("000.png"):
            continue
        before, after = (read_photo(root / pair.target).astype(int) for root in (drawn_views, tmp_path / "set"))
        assert np.abs(after - before)[12:50, 20:44].mean() < 3  # the face
        changed = np.abs(after - before).mean(axis=2) > 40
        assert 0.02 < changed.mean() < 0.5
        backdrops.append(np.median(after[changed], axis=0))
        views = [read_photo(root / pair.input).astype(int) for root in (drawn_views, tmp_path / "set")]
        assert np.abs(views[0] - views[1])[20:50, 20:44].mean() < 12
    assert np.abs(backdrops[0] - backdrops[1]).max() > 15


def test_another_run_skips_what_is_finished(london: Path, drawn_views: Path, run: Run, tmp_path: Path) -> None:
    out = Path(shutil.copytree(drawn_views, tmp_path / "set"))
    (out / mask_of("030/left_profile-001.png")).unlink()
    words = ("pairs", "views", london / "set", london / "photos", out, *OPTIONS, "--json")
    told = json.loads(run(*words).stdout)
    assert (told["written"], told["skipped"]) == (1, 3)
    before, after = tree(drawn_views), tree(out)
    assert {name for name in before if before[name] != after[name]} <= {"ledger.jsonl", "README.md"}
    assert json.loads(run(*words).stdout)["skipped"] == 4


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_same_command(
    london: Path, drawn_views: Path, run: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out" / "set"
    words = ["pairs", "views", london / "set", london / "photos", out, *OPTIONS]
    partly = lambda: 0 < rows_in(out) < len(NAMES)  # noqa: E731
    end_halfway([*FRONTALIZE, *words, "--quiet"], out, lambda: rows_in(out) > 0, partly, group=True)
    assert run(*words).exit_code == 0
    before, after = tree(drawn_views), tree(out)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} <= {"ledger.jsonl", "README.md"}


@pytest.mark.parametrize("name", ["030_left_profile", "030_frontal"])
def test_what_is_left_of_a_pair_is_removed(name: str, london: Path, run: Run, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(london / "photos", tmp_path / "photos"))
    drawn(photos / "more" / f"{name}.jpg")  # no face
    words = ("pairs", "views", london / "set", photos, tmp_path / "set", *OPTIONS)
    assert run(*words).exit_code == 0
    assert codes(tmp_path / "set")[f"more/{name}.jpg"] == "no-face"
    assert {pair.subject for pair in read_pairs(tmp_path / "set")} == {"003"}
    assert {row["subject"] for row in table(tmp_path / "set").values()} == {"003"}
    assert not any(
        path.is_file() and "030" in str(path.relative_to(tmp_path)) for path in (tmp_path / "set").rglob("*")
    )
    shutil.copy(FACES / f"{name}.jpg", photos / "more" / f"{name}.jpg")  # a face: the pair is there in the next run
    assert run(*words).exit_code == 0
    assert {pair.subject for pair in read_pairs(tmp_path / "set")} == {"003", "030"}


@pytest.mark.parametrize("case", ["no-set", "others", "no-source", "same-place", "inside"])
def test_a_wrong_set_up_is_an_error_and_writes_nothing(case: str, london: Path, run: Run, tmp_path: Path) -> None:
    dataset, photos, out = Path(shutil.copytree(london / "set", tmp_path / "set")), london / "photos", tmp_path / "out"
    message = "none of its 4 files was made from a photo in"
    if case == "no-set":
        dataset, message = tmp_path / "nowhere", "no such folder"
    elif case == "others":
        photos = tmp_path / "others"
        image: Image = read_photo(FACES / "021_frontal.jpg")
        drawn(photos / "a.jpg", (image.shape[1], image.shape[0]))
    elif case == "no-source":
        with (dataset / "labels.csv").open(newline="") as file:
            rows = [{**row, "source": ""} for row in csv.DictReader(file)]
        write_labels(dataset, rows)
    else:
        out, message = (dataset if case == "same-place" else dataset / "views"), "contain each other"
    before = tree(tmp_path)
    result = run("pairs", "views", dataset, photos, out)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
    assert tree(tmp_path) == before
    assert not read_labels(tmp_path / "out").rows
