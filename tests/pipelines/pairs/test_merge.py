"""`pairs merge`: several sets become one."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import FRONTALIZE, Run, tree
from tests.killing import end_halfway
from tests.pipelines.pairs.imported import drawn, table
from toolkit.records.labels import write_labels
from toolkit.records.subjects import read_pairs, view_parts_of

CELLS = ("file", "subject", "role")


def paired(root: Path, people: dict[str, str], seed: int, view_parts: bool = False) -> Path:
    """A set of drawn pictures.

    Args:
        root: of the set.
        people: the person of each subject, empty for none.
        seed: of the pictures.
        view_parts: write what lies beside a frontal view, too.
    """
    rows = list[dict[str, object]]()
    for number, (subject, person) in enumerate(people.items()):
        for file in (f"{subject}.jpg", f"{subject}/a.jpg", f"{subject}/b.jpg"):
            drawn(root / file, seed=100 * seed + 3 * number + len(rows))
            row = {"file": file, "subject": subject, "role": "input" if "/" in file else "target"}
            rows.append(row | {"person": person, "light": seed})
            if view_parts and "/" in file:
                for part in view_parts_of(file):
                    (root / part).write_bytes(part.encode())
    write_labels(root, rows)
    return root


def photos_in(out: Path) -> int:
    return sum(1 for _ in out.rglob("*.jpg")) if out.exists() else 0


@pytest.fixture
def sets(tmp_path: Path) -> list[Path]:
    """Two sets. Both have a subject ann, and subjects of other names that show one person, bea."""
    first = paired(tmp_path / "studio", {"ann": "", "bea-1": "bea"}, 1)
    return [first, paired(tmp_path / "street", {"ann": "", "bea-2": "bea", "cid": ""}, 2, view_parts=True)]


def test_all_files_are_linked_and_people_keep_their_names(sets: list[Path], run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = run("pairs", "merge", *sets, out, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"out": str(out), "pairs": 10, "people": 3, "files": 27}
    assert {pair.subject for pair in read_pairs(out)} == {"ann-studio", "ann-street", "bea-1", "bea-2", "cid"}
    rows = table(out)
    assert len(rows) == 15
    assert {row["subject"]: row["person"] for row in rows.values()} == {
        "ann-studio": "ann",
        "ann-street": "ann",
        "bea-1": "bea",
        "bea-2": "bea",
        "cid": "cid",
    }
    assert {row["light"] for row in rows.values() if row["subject"] == "ann-street"} == {"2"}
    for subject, root, own in (("ann-studio", sets[0], "ann"), ("cid", sets[1], "cid")):
        assert (out / f"{subject}.jpg").samefile(root / f"{own}.jpg")
        assert (out / subject / "b.jpg").samefile(root / own / "b.jpg")
        assert [rows[f"{subject}/a.jpg"][cell] for cell in CELLS] == [f"{subject}/a.jpg", subject, "input"]
    for part in ("a.mask", "a.unmirrored"):
        assert (out / "ann-street" / part).read_bytes() == b"ann/" + part.encode()
        assert not (out / "ann-studio" / part).exists()
    assert run("pairs", "split", out, "--val", "1").exit_code == 0
    assert len({pair.subject for pair in read_pairs(out / "val")}) in (1, 2)  # both of ann, both of bea, or cid


def test_a_suffix_that_makes_the_name_of_another_subject_is_repeated(run: Run, tmp_path: Path) -> None:
    one = paired(tmp_path / "x", {"ann": "", "ann-x": "", "ann-x-x": ""}, 1)
    other = paired(tmp_path / "x-x", {"ann": ""}, 2)
    assert run("pairs", "merge", one, other, tmp_path / "out").exit_code == 0
    subjects = {pair.subject for pair in read_pairs(tmp_path / "out")}
    assert subjects == {"ann-x", "ann-x-x", "ann-x-x-x", "ann-x-x-x-x"}
    contents = [path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg")]
    assert len(contents) == len(set(contents)) == 12  # no file took the place of another


def test_another_run_adds_what_is_new(sets: list[Path], run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("pairs", "merge", *sets, out).exit_code == 0
    before = tree(out)
    assert run("pairs", "merge", *sets, out).exit_code == 0
    assert tree(out) == before
    (out / "cid" / "a.jpg").unlink()
    drawn(sets[1] / "cid.jpg", seed=99)  # another photo under the same name
    (sets[1] / "cid.jpg").replace(sets[1] / "moved")
    shutil.copy(sets[1] / "moved", sets[1] / "cid.jpg")
    (sets[1] / "moved").unlink()
    assert run("pairs", "merge", *sets, out).exit_code == 0
    after = tree(out)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"cid.jpg"}
    assert (out / "cid.jpg").samefile(sets[1] / "cid.jpg")


@pytest.mark.slow
def test_a_killed_run_is_finished_by_the_same_command(run: Run, tmp_path: Path) -> None:
    people = {f"p{number}": "" for number in range(400)}
    sets, out = [paired(tmp_path / name, people, 0) for name in ("a", "b")], tmp_path / "out"
    command = [*FRONTALIZE, "pairs", "merge", *sets, out, "--quiet"]
    end_halfway(command, out, lambda: photos_in(out) > 0, lambda: not (out / "labels.csv").exists())
    assert run("pairs", "merge", *sets, out).exit_code == 0
    assert len(tree(out)) == photos_in(out) + 1 == 2401
    assert len(read_pairs(out)) == 1600


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["studio", "out"], "name two or more sets"),
        (["studio", "again/studio", "out"], "two sets are called studio"),
        (["studio", "street", "studio"], "contain each other"),
        (["studio", "street", "studio/merged"], "contain each other"),
        (["studio", "street", "."], "contain each other"),
        (["studio", "nowhere", "out"], "no such folder"),
    ],
)
def test_a_wrong_set_up_is_an_error_and_writes_nothing(
    words: list[str], message: str, sets: list[Path], run: Run, tmp_path: Path
) -> None:
    shutil.copytree(sets[0], tmp_path / "again" / "studio")
    before = tree(tmp_path)
    result = run("pairs", "merge", *(tmp_path / word for word in words))
    assert result.exit_code == 2
    assert message in result.stderr.replace("\n", " ")
    assert tree(tmp_path) == before
