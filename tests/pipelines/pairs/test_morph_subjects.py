"""`pairs morph`, on faces of tests/data whose views are drawn by hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.pairs.config import VerifyConfig
from pipelines.pairs.verification.checks import Entry, check_duplicates, check_identities
from pipelines.pairs.verification.verify import Verification
from pipelines.pairs.verification.verify_worker import FileInfo
from pipelines.train.recipes.recipe import TrainingSet
from pipelines.train.recipes.refiner import _require_view_parts
from tests.conftest import Run, tree
from tests.faces import frontal_faces
from tests.pipelines.pairs.conftest import inspect_with
from tests.pipelines.pairs.imported import codes, drawn, table
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.records.labels import write_labels
from toolkit.records.subjects import mask_of, read_pairs, unmirrored_of, view_parts_of

SIZE = 96  # px
NEAR = np.s_[30:70, 52:80]  # of a view: the cheek that the mask calls visible
FACE = np.s_[12:84, 24:72]
# Subject: person, expression, views. The last one has views of a kind that nobody else has.
SUBJECTS = {
    "003": ("p003", "neutral", ("left", "right")),
    "003b": ("p003", "neutral", ("left",)),
    "030": ("p030", "neutral", ("left", "right")),
    "038": ("p038", "smiling", ("left",)),
    "045": ("p045", "smiling", ("left",)),
    "061": ("p061", "neutral", ("up",)),
}
OPTIONS = ("--per-subject", 2, "--views", 3, "--format", "png", "--workers", 1)


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory, landmarker: Landmarker) -> Path:
    """A set in the layout of `pairs views`: each view is the target, darker, with a mask that is white on the right."""
    root, photos, rows = tmp_path_factory.mktemp("views") / "set", frontal_faces(), []
    for name, (person, expression, kinds) in SUBJECTS.items():
        [crop] = align_photo(photos[name[:3]], landmarker, AlignConfig(size=SIZE))
        (root / name).mkdir(parents=True)
        (root / f"{name}.jpg").write_bytes(encode_image(crop.image, ".jpg"))
        files = [(f"{name}.jpg", "front", 0.5)]
        for kind in kinds:
            for number in range(2):
                view = (crop.image * (0.8 - 0.1 * number - 0.05 * (kind == "right"))).astype(np.uint8)
                mask = np.where(np.arange(SIZE) > SIZE // 2, 200, 20).astype(np.uint8)
                files.append((f"{name}/{kind}-{number}.jpg", kind, -40.0))
                (root / files[-1][0]).write_bytes(encode_image(view, ".jpg"))
                (root / mask_of(files[-1][0])).write_bytes(encode_image(np.tile(mask, (SIZE, 1)), ".png"))
                (root / unmirrored_of(files[-1][0])).write_bytes(encode_image(view, ".jpg"))
        for file, kind, yaw in files:
            row = {"file": file, "subject": name, "role": "input" if "/" in file else "target", "age": "24"}
            rows.append(row | {"person": person, "expression": expression, "view": kind, "yaw": yaw})
    write_labels(root, rows)
    return root


@pytest.fixture(scope="module")
def morphs(views: Path, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("morphs") / "set"
    result = run("pairs", "morph", views, out, *OPTIONS, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["written"], told["rejected"]) == (5, 1)
    return out


def test_a_morph_has_the_layout_of_the_set_that_it_is_made_from(morphs: Path) -> None:
    pairs = read_pairs(morphs)
    names = [name for name in SUBJECTS if name != "061"]
    assert {pair.subject for pair in pairs} == {f"{name}-morph{number}" for name in names for number in (0, 1)}
    assert len([pair for pair in pairs if pair.subject == "003-morph0"]) == 3  # --views; it has four
    assert len([pair for pair in pairs if pair.subject == "038-morph1"]) == 2
    for pair in pairs:
        target, view, unmirrored = (
            read_photo(morphs / name).astype(int) for name in (pair.target, pair.input, unmirrored_of(pair.input))
        )
        mask = read_photo(morphs / mask_of(pair.input))[..., 0]
        assert target.shape == view.shape == unmirrored.shape == (SIZE, SIZE, 3) and mask.shape == (SIZE, SIZE)
        assert mask[:, -30:].min() > 150 and mask[:, :30].max() < 70
        assert np.abs(view - unmirrored).mean() < 1  # as in the set
        level = view[FACE].mean() / target[FACE].mean()
        assert 0.6 < level < 0.9  # as dark as the views of the set
        assert np.abs(view / level - target)[FACE].mean() < 8  # and aligned to the target


def test_the_recipe_refiner_takes_it(morphs: Path) -> None:
    pairs = read_pairs(morphs)
    _require_view_parts(TrainingSet(morphs, pairs, None))
    assert all((morphs / part).stat().st_size for pair in pairs for part in view_parts_of(pair.input))


def test_pairs_verify_finds_no_defect(morphs: Path, landmarker: Landmarker) -> None:
    verification = Verification(morphs, VerifyConfig(workers=1))
    found = verification.summarize([inspect_with(morphs, landmarker)(file) for file in verification.entries])
    assert found["defects"] == []


def test_labels_name_two_people_and_what_is_the_first_one_s(morphs: Path) -> None:
    rows = table(morphs)
    for file, row in rows.items():
        first, second = row["person"].split("+")
        name = row["subject"].partition("-")[0]
        assert first == SUBJECTS[name][0] != second
        assert row["expression"] == SUBJECTS[name][1]
        assert "age" not in row
        assert (row["role"] == "input") == ("/" in file)
    assert (rows["003-morph0.png"]["yaw"], rows["003-morph0.png"]["view"]) == ("0.5", "front")
    assert (rows["038-morph0/left-0.png"]["yaw"], rows["038-morph0/left-0.png"]["view"]) == ("-40.0", "left")
    assert {row["person"] for file, row in rows.items() if file.startswith("038")} == {"p038+p045"}  # smiling as well
    assert {row["person"] for file, row in rows.items() if file.startswith("003")} == {"p003+p030"}


def test_a_morph_is_neither_of_the_two_people(morphs: Path, views: Path) -> None:
    for file in ("003-morph0", "030-morph0", "038-morph1"):
        new, own = (read_photo(path).astype(int) for path in (morphs / f"{file}.png", views / f"{file[:3]}.jpg"))
        assert np.abs(new - own)[FACE].mean() > 2
    one, other = (read_photo(morphs / f"003-morph{number}.png").astype(int) for number in (0, 1))
    assert np.abs(one - other)[FACE].mean() > 1


def test_a_subject_without_a_partner_is_a_row_in_the_ledger(morphs: Path) -> None:
    assert codes(morphs) == {f"{name}.jpg": "no-partner" if name == "061" else "" for name in SUBJECTS}
    assert "no-partner 1" in (morphs / "README.md").read_text()


def test_two_workers_write_the_same_bytes(morphs: Path, views: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert run("pairs", "morph", views, out, *OPTIONS[:-1], 2).exit_code == 0
    assert tree(out) == tree(morphs)


def test_another_run_skips_what_is_finished_until_the_set_changes(
    morphs: Path, views: Path, run: Run, tmp_path: Path
) -> None:
    out = Path(shutil.copytree(morphs, tmp_path / "out" / "set"))
    dataset = Path(shutil.copytree(views, tmp_path / "in" / "set"))
    next(out.glob("030-morph0/*.mask")).unlink()
    shutil.rmtree(out / "038-morph1")
    told = json.loads(run("pairs", "morph", dataset, out, *OPTIONS, "--json").stdout)
    assert (told["written"], told["skipped"]) == (2, 4)
    assert tree(out) == tree(morphs)
    for path in [*dataset.glob("038*/*"), dataset / "038.jpg"]:
        path.unlink()
    (dataset / "038").rmdir()
    told = json.loads(run("pairs", "morph", dataset, out, *OPTIONS, "--json").stdout)
    assert (told["written"], told["skipped"]) == (3, 0)
    assert codes(out)["045.jpg"] == "no-partner"  # the only other one that smiled has gone
    assert not any(row["subject"].startswith(("038", "045")) for row in table(out).values())


def test_without_labels_of_the_view_inputs_of_nearly_the_same_yaw_match(views: Path, run: Run, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(views, tmp_path / "set"))
    yaws = {"003": -40, "003b": -40, "030": -48, "038": -60, "045": 40, "061": -52}
    rows = [
        {key: value for key, value in row.items() if key not in ("view", "expression")} | {"yaw": yaws[row["subject"]]}
        for row in table(dataset).values()
    ]
    write_labels(dataset, rows)
    assert run("pairs", "morph", dataset, tmp_path / "out", "--per-subject", 3, *OPTIONS[2:]).exit_code == 0
    assert {name: code for name, code in codes(tmp_path / "out").items() if code} == {"045.jpg": "no-partner"}
    people = {row["person"] for row in table(tmp_path / "out").values()}
    assert {name for name in people if name.startswith("p030")} == {"p030+p003", "p030+p061"}
    assert {name for name in people if name.startswith("p038")} == {"p038+p061"}


def test_a_damaged_view_fails_its_subject_and_is_named(views: Path, run: Run, tmp_path: Path) -> None:
    dataset = Path(shutil.copytree(views, tmp_path / "set"))
    (dataset / mask_of("038/left-1.jpg")).write_bytes(b"no picture")
    drawn(dataset / "030.jpg")  # no face: nobody's partner any more
    result = run("pairs", "morph", dataset, tmp_path / "out", *OPTIONS, "--json")
    assert result.exit_code == 1
    found = codes(tmp_path / "out")
    assert found["030.jpg"] == "no-face" and found["003.jpg"] == "no-partner"
    assert found["038.jpg"] == "not-an-image"
    assert "038/left-1.mask: " in (tmp_path / "out" / "ledger.jsonl").read_text()


def _without(suffix: str) -> Callable[[Path], None]:
    return lambda root: next(root.glob(f"038/*{suffix}")).unlink()


@pytest.mark.parametrize(
    ("damage", "place", "message"),
    [
        (_without(".mask"), "out", "has no 038/left-"),
        (_without(".unmirrored"), "out", "`frontalize pairs synth --round-trip`"),
        (lambda root: shutil.rmtree(root), "out", "no such folder"),
        (lambda root: None, "set", "contain each other"),
        (lambda root: None, "set/morphs", "contain each other"),
        (lambda root: None, ".", "contain each other"),
    ],
    ids=["no-mask", "no-unmirrored", "no-set", "same-place", "inside", "around"],
)
def test_a_wrong_set_up_is_an_error_and_writes_nothing(
    damage: Callable[[Path], Any], place: str, message: str, views: Path, run: Run, tmp_path: Path
) -> None:
    dataset = Path(shutil.copytree(views, tmp_path / "set"))
    damage(dataset)
    before = tree(tmp_path)
    result = run("pairs", "morph", dataset, tmp_path / place)
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
    assert tree(tmp_path) == before


def test_people_that_share_a_face_are_no_duplicates() -> None:
    """As `pairs verify` sees it: morphs resemble the people that they are made of, and each other."""
    people = {"a.jpg": "a", "ab.jpg": "a+b", "ca.jpg": "c+a", "d.jpg": "d"}
    entries = {name: Entry(name, Path(name).stem, True, person) for name, person in people.items()}
    picture = bytes(np.random.default_rng(0).integers(0, 255, 64, np.uint8))
    one = np.array([1.0, 0.0])
    infos = [FileInfo(name, "", name, (64, 64), picture, identity=one) for name in people]
    for problems in (check_duplicates(infos, entries), check_identities(infos, entries)):
        found = [problem.files for problem in problems if problem.code == "duplicate"]
        assert found and all("d.jpg" in files for files in found)
