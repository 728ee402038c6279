from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from pipelines.train.data.class_labels import PairLabels, read_pair_labels
from toolkit.errors import DatasetError
from toolkit.records.labels import write_labels
from toolkit.records.subjects import Pair

YAWS = (-60, -45, -30, -15, 0, 15, 30, 45, 60)


def a_set(root: Path, rows: Sequence[Mapping[str, object]], **options: object) -> PairLabels:
    """Inputs of subjects ``a``, ``b`` ..., one row each."""
    files = [f"{row.get('subject', 'a')}/{number}.jpg" for number, row in enumerate(rows)]
    known = ["attr_smile", "light", "light_strength", "person", "yaw"]
    cells = [{name: row[name] for name in known if name in row} for row in rows]
    write_labels(
        root, [{"file": f, "subject": f[0], "role": "input", **row} for f, row in zip(files, cells, strict=True)]
    )
    return read_pair_labels(root, [Pair(file, f"{file[0]}.jpg", file[0]) for file in files], **options)  # type: ignore[arg-type]


def every(labels: PairLabels) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.arange(len(labels.person))


def test_poses_are_the_nearest_of_nine_and_mirror_with_the_photo(tmp_path: Path) -> None:
    labels = a_set(tmp_path, [{"yaw": yaw} for yaw in (-90, -60, -52, -7.5, 0, 7.5, 8, 37.6, 80, "")])
    pairs = every(labels)
    assert labels.pose_class(pairs).tolist() == [0, 0, 1, 4, 4, 4, 5, 7, 8, -1]
    flipped = labels.pose_class(pairs, np.ones(10, bool))
    np.testing.assert_array_equal(flipped[:-1], 8 - labels.pose_class(pairs)[:-1])
    assert flipped[-1] == -1
    assert labels.lights == 1 and (labels.light_class(pairs) == 0).all()  # a set that says nothing has one light


def test_lamps_are_binned_by_azimuth_and_change_sides(tmp_path: Path) -> None:
    rows = [{"yaw": 0, "light": light, "light_strength": 0.5} for light in (-90, -84, 0, 3, 90, "")]
    labels = a_set(tmp_path, rows)
    assert (labels.lights, labels.can_flip) == (20, True)
    assert labels.light_class(every(labels)).tolist() == [1, 2, 10, 10, 19, 0]
    assert labels.light_class(every(labels), np.ones(6, bool)).tolist() == [19, 18, 10, 10, 1, 0]


def test_numbered_lights_are_their_own_classes_and_cannot_mirror(tmp_path: Path) -> None:
    labels = a_set(tmp_path, [{"yaw": 0, "light": light} for light in (0, 19, 7, "")])
    assert (labels.lights, labels.can_flip) == (20, False)
    assert labels.light_class(every(labels)).tolist() == [0, 19, 7, -1]


def test_people_are_numbered_in_sorted_order(tmp_path: Path) -> None:
    rows = [{"subject": "b"}, {"subject": "a", "person": "zoe"}, {"subject": "c"}, {"subject": "d", "person": "zoe"}]
    labels = a_set(tmp_path, [{**row, "yaw": 0} for row in rows])
    assert labels.people == ["b", "c", "zoe"]
    assert labels.person.tolist() == [0, 2, 1, 2]


def test_attributes_are_columns_in_sorted_order(tmp_path: Path) -> None:
    labels = a_set(tmp_path, [{"yaw": 0, "attr_smile": 1}, {"yaw": 0, "attr_smile": 0}], attributes=True)
    assert labels.attribute_names == ["smile"]
    assert labels.attributes.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"light": 3}], "has no yaw of any input"),
        ([{"yaw": 0, "light": 2.5}], "light of a/0.jpg is 2.5; numbers of lights are 0, 1, 2"),
        ([{"yaw": 0, "light": -30}], "lamps in degrees need the column light_strength"),
        ([{"yaw": 0, "attr_smile": 1}, {"yaw": 0}], "a/1.jpg has no attr_smile"),
        ([{"yaw": "left"}], "yaw of a/0.jpg is 'left', not a number"),
    ],
)
def test_what_is_missing_or_wrong_is_named(tmp_path: Path, rows: list[dict[str, object]], says: str) -> None:
    with pytest.raises(DatasetError, match=says):
        a_set(tmp_path, rows, attributes=True)


def test_partners_are_neighbours_in_pose_half_of_the_time(tmp_path: Path) -> None:
    """Same person, same light, one pose to either side; where there is none, any photo of that person."""
    rows = [
        {"subject": subject, "yaw": yaw, "light": light, "light_strength": 1}
        for subject in "abc"
        for light in (-30, "")
        for yaw in (-15, 0, 0, 15, 60, "")
    ]
    labels = a_set(tmp_path, rows)
    pose, light = labels.pose_class(every(labels)), labels.light_class(every(labels))
    drawn = np.random.default_rng(0).random((200, 2))
    for pair in range(len(rows)):
        near = [labels.partner(pair, "neighbor", 0.49, choice) for choice in np.linspace(0, 1, 50, endpoint=False)]
        same = (labels.person == labels.person[pair]) & (light == light[pair]) & (np.abs(pose - pose[pair]) == 1)
        neighbours = np.flatnonzero(same & (pose >= 0))
        if pose[pair] in (3, 4, 5):
            assert sorted(set(near)) == neighbours.tolist()
        else:  # 60 degrees, and unknown: no neighbour
            assert set(near) == set(np.flatnonzero(labels.person == labels.person[pair]).tolist())
        far = {labels.partner(pair, "neighbor", 0.5, choice) for choice in np.linspace(0, 1, 50, endpoint=False)}
        assert len(far) > 20
    taken = [labels.partner(1, "neighbor", *row) for row in drawn]
    assert np.isin(taken, [0, 3]).mean() == pytest.approx(0.5, abs=0.1)


def test_partners_of_the_same_person_are_all_of_theirs(tmp_path: Path) -> None:
    labels = a_set(tmp_path, [{"subject": subject, "yaw": yaw} for yaw in (0, 30, "") for subject in "abc"])
    for pair in range(9):
        taken = {labels.partner(pair, "person", 0.9, choice) for choice in np.linspace(0, 1, 30, endpoint=False)}
        assert taken == set(np.flatnonzero(labels.person == labels.person[pair]).tolist())
