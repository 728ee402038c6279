import os
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import DatasetError
from toolkit.records.labels import LABELS, read_labels, write_labels


def test_a_table_holds_what_was_written_and_no_empty_columns(tmp_path: Path) -> None:
    write_labels(
        tmp_path,
        [
            {"file": "a,b.jpg", "subject": "a,b", "role": "target", "yaw": 1.5, "attr_Male": 1},
            {"file": "a,b/1\n.jpg", "subject": "a,b", "role": "input", "yaw": -30, "person": "a", "light": None},
        ],
    )
    header = (tmp_path / LABELS).read_text().splitlines()[0]
    assert header == "file,subject,role,person,yaw,attr_Male"
    labels = read_labels(tmp_path)
    assert list(labels.rows) == ["a,b.jpg", "a,b/1\n.jpg"]
    assert labels.attributes == ["Male"]
    np.testing.assert_array_equal(labels.numbers("yaw", ["a,b/1\n.jpg", "a,b.jpg", "other"]), [-30, 1.5, np.nan])
    assert labels.person("a,b.jpg", "a,b") == "a,b"
    assert labels.person("a,b/1\n.jpg", "a,b") == "a"
    assert labels.text("attr_Male", "a,b/1\n.jpg") == ""
    only = read_labels(tmp_path, ("yaw",))
    assert list(only.columns) == ["yaw"]
    assert only.rows == labels.rows


def test_a_set_without_a_table_knows_nothing(tmp_path: Path) -> None:
    labels = read_labels(tmp_path)
    assert labels.rows == {}
    assert np.isnan(labels.numbers("yaw", ["a.jpg"])).all()


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "file,subject,role\na.jpg,a\n", "file,yaw\n\0"])
def test_what_is_no_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / LABELS).write_text(text)
    with pytest.raises(DatasetError, match=LABELS):
        read_labels(tmp_path)


def test_a_word_where_a_number_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_text("file,subject,role,yaw\na.jpg,a,target,left\n")
    with pytest.raises(DatasetError, match=r"yaw of a.jpg is 'left'"):
        read_labels(tmp_path).numbers("yaw", ["a.jpg"])


def test_columns_that_a_user_added_are_written_last_and_those_without_a_name_are_left_out(tmp_path: Path) -> None:
    (tmp_path / LABELS).write_text("file,tone,,subject,role,yaw,\na.jpg,tan,,a,target,1.5,\n")
    labels = read_labels(tmp_path)
    assert list(labels.columns) == ["file", "tone", "subject", "role", "yaw"]
    write_labels(tmp_path, [{name: labels.text(name, "a.jpg") for name in labels.columns}], added=labels.columns)
    assert (tmp_path / LABELS).read_text() == "file,subject,role,yaw,tone\na.jpg,a,target,1.5,tan\n"


def test_a_misspelt_column_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="jaw"):
        write_labels(tmp_path, [{"file": "a.jpg", "jaw": 1}])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a table"),
        (b"\x00\xff\xfe" * 99, "not a table"),
        (b"file,subject,role\n" + b'"' + b"x" * 200_000, "field larger than field limit"),
        (b"file,subject,role\na.jpg\n", "line 2 has 1 cells"),
        (b"file,yaw,yaw\na.jpg,1,2\n", "more than one column 'yaw'"),
    ],
)
def test_tables_of_labels_that_are_none_are_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        read_labels(tmp_path)


@pytest.mark.parametrize("cell", ["1e999", "-inf", "1e300", "x", "0x10", "9" * 5000])
def test_labels_that_are_no_numbers_are_refused(cell: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f"file,subject,role,yaw\na.jpg,a,target,{cell}\n")
    with pytest.raises(DatasetError, match="not a number"):
        read_labels(tmp_path).numbers("yaw", ["a.jpg"])


def test_tables_beyond_the_bound_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").touch()
    os.truncate(tmp_path / "labels.csv", 5 << 30)  # a hole: takes no room on disk
    with pytest.raises(DatasetError, match="bytes, the limit is"):
        read_labels(tmp_path)
