from pathlib import Path

import pytest

from tests.conftest import touch
from toolkit.errors import DatasetError
from toolkit.records.subjects import Pair, read_pairs, spread_over_subjects


def test_pairs_are_matched_by_name_not_by_position(tmp_path: Path) -> None:
    """`ann` and `ann-marie` sort one way as folders and the other way as files: position would swap them."""
    touch(tmp_path, "ann/1.jpg", "ann-marie/1.jpg", "ann.jpg", "ann-marie.jpg", "labels.csv", ".aligned/x.jpg")
    assert read_pairs(tmp_path) == [
        Pair("ann/1.jpg", "ann.jpg", "ann"),
        Pair("ann-marie/1.jpg", "ann-marie.jpg", "ann-marie"),
    ]


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["a/1.jpg"], "a/ has no target a.jpg"),
        (["a.jpg"], "a.jpg has no inputs in a/"),
        (["a/1.jpg", "a.jpg", "a.png"], "a.png and a.jpg are both the target of a"),
        (["notes.txt"], "no pairs in it"),
    ],
)
def test_orphans_are_named(tmp_path: Path, files: list[str], says: str) -> None:
    with pytest.raises(DatasetError) as caught:
        read_pairs(touch(tmp_path, *files))
    assert says in str(caught.value)


def test_a_sample_is_spread_over_people() -> None:
    pairs = [Pair(f"{subject}/{n}.jpg", f"{subject}.jpg", subject) for subject in "abcd" for n in range(5)]
    assert [pair.subject for pair in spread_over_subjects(pairs, 4)] == list("abcd")
    assert spread_over_subjects(pairs[:2], 8) == pairs[:2]
