from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.runtime.plan import Job, plan_photos
from tests.conftest import touch
from toolkit.errors import ConfigError, PhotoFailed


def test_folders_are_mirrored_in_sorted_order(tmp_path: Path) -> None:
    plan = plan_photos(touch(tmp_path / "src", "b/2.png", "a.jpg", "b/1.jpg", "b/c.txt"), tmp_path / "out")
    assert [(job.input, job.stem) for job in plan.jobs] == [("a.jpg", "a"), ("b/1.jpg", "b/1"), ("b/2.png", "b/2")]
    assert plan.ignored == {".txt": 1}


def test_inputs_with_the_same_output_are_refused_and_the_others_go_on(tmp_path: Path) -> None:
    plan = plan_photos(touch(tmp_path / "src", "a.jpg", "a.png", "sub/a.jpg"), tmp_path / "out")
    assert [job.input for job in plan.jobs] == ["sub/a.jpg"]
    assert [(row.input, row.status, row.reason) for row in plan.refused] == [
        ("a.jpg", "failed", "collision: same output as a.png; rename one of them"),
        ("a.png", "failed", "collision: same output as a.jpg; rename one of them"),
    ]


def test_numbered_faces_never_take_another_inputs_name(tmp_path: Path) -> None:
    plan = plan_photos(touch(tmp_path / "src", "a.jpg", "a_2.jpg", "a_02.jpg", "b.jpg"), tmp_path / "out")
    jobs = {job.input: job for job in plan.jobs}
    assert jobs["b.jpg"].outputs(2, ".jpg") == ["b_1.jpg", "b_2.jpg"]
    assert jobs["a.jpg"].outputs(1, ".jpg") == ["a.jpg"]
    with pytest.raises(PhotoFailed, match="collision: a_2 is the name of another input"):
        jobs["a.jpg"].outputs(2, ".jpg")


def test_a_single_face_keeps_the_name() -> None:
    assert Job("x/a.png", "x/a").outputs(1, ".webp") == ["x/a.webp"]


def test_shards_share_out_a_plan_between_them(tmp_path: Path) -> None:
    plan = plan_photos(touch(tmp_path / "src", *(f"{n}.jpg" for n in range(8)), "0.png", "1.png"), tmp_path / "out")
    shards = [plan.sharded(part, 3) for part in range(3)]
    assert sorted(job.input for shard in shards for job in shard.jobs) == [job.input for job in plan.jobs]
    assert sum(len(shard.refused) for shard in shards) == len(plan.refused) == 4
    assert {len(shard.jobs) for shard in shards} == {2}
    assert all(sorted(shard.jobs + shard.elsewhere, key=lambda job: job.input) == plan.jobs for shard in shards)
    assert len(plan.sharded(8, 9)) == 0


@pytest.mark.parametrize("out", ["src", "."])
def test_an_out_that_holds_the_inputs_is_refused(tmp_path: Path, out: str) -> None:
    with pytest.raises(ConfigError, match="could overwrite inputs"):
        plan_photos(touch(tmp_path / "src", "a.jpg"), tmp_path / out)


def test_an_out_inside_src_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "out/a.jpg")
    assert [job.input for job in plan_photos(tmp_path, tmp_path / "out").jobs] == ["a.jpg"]


def test_missing_and_empty_folders_are_set_up_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        plan_photos(tmp_path / "none", tmp_path / "out")
    with pytest.raises(ConfigError, match="no photo in it \\(1 other files\\)"):
        plan_photos(touch(tmp_path / "src", "a.txt"), tmp_path / "out")


STEMS = st.sampled_from(["a", "a_1", "a_2", "a_1_1", "A", "b", "b_10", "x/a", "x/a_1"])
PHOTOS = st.sets(st.tuples(STEMS, st.sampled_from([".jpg", ".png", ".JPG"])).map("".join), min_size=1)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(photos=PHOTOS, counts=st.lists(st.integers(1, 3), min_size=30, max_size=30), blind=st.booleans())
def test_no_two_inputs_ever_write_to_one_output(
    photos: set[str], counts: list[int], blind: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.runtime.plan.list_photos", lambda source, exclude: (sorted(photos), Counter[str]()))
    plan = plan_photos(tmp_path, tmp_path.parent / "out")
    if blind:
        plan = plan.without_case_collisions()
    assert sorted([job.input for job in plan.jobs] + [row.input for row in plan.refused]) == sorted(photos)
    outputs: list[str] = []
    for job, count in zip(plan.jobs, counts, strict=False):
        try:
            outputs += job.outputs(count, ".jpg")
        except PhotoFailed as error:
            assert error.code == "collision"
    if blind:
        outputs = [output.lower() for output in outputs]
    assert len(set(outputs)) == len(outputs)
