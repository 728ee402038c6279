"""`batch --model geometric` and `pairs synth`, as a user runs them."""

import csv
import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipelines.commands.terminal.arguments import parse_angles
from pipelines.pairs.config import SynthConfig
from pipelines.pairs.synthesize import draw_poses
from tests.conftest import FRONTALIZE, Run, tree
from toolkit.errors import ConfigError
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import read_ledger
from toolkit.records.subjects import read_pairs


def test_a_folder_becomes_frontal_views_without_weights(photos: Path, run: Run, tmp_path: Path) -> None:
    result = run("batch", photos, tmp_path / "out", "--model", "geometric", "--json", "--workers", 2)
    assert result.exit_code == 1  # one photo is damaged
    summary = json.loads(result.stdout)
    assert (summary["written"], summary["reasons"]) == (6, {"no-face": 1, "unreadable": 1})
    busy = summary["busy"]["workers"]
    assert busy.keys() == {"read", "decode", "landmarks", "draw", "encode", "write"}
    assert 0 < sum(busy.values()) <= 1
    assert "limited by" in result.stderr
    assert read_photo(tmp_path / "out" / "ann" / "0.jpg").shape == (256, 256, 3)
    row = {row.input: row for row in read_ledger(tmp_path / "out")}["ann/1.jpg"]
    assert row.faces[0].keys() >= {"box", "matrix", "yaw"}
    again = json.loads(run("batch", photos, tmp_path / "out", "--model", "geometric", "--json").stdout)
    assert (again["skipped"], again["written"]) == (7, 0)
    smaller = ["batch", photos / "ann", tmp_path / "png", "--model", "geometric", "--size", 128, "--format", "png"]
    assert run(*smaller).exit_code == 0
    assert read_photo(tmp_path / "png" / "0.png").shape == (128, 128, 3)


@pytest.mark.slow
def test_three_shards_at_once_make_one_run(photos: Path, run: Run, tmp_path: Path) -> None:
    words = ["batch", photos, tmp_path / "out", "--model", "geometric", "--workers", "1", "--json"]
    starts = [[*FRONTALIZE, *map(str, words), "--shard", f"{part}/3"] for part in range(3)]
    shards = [subprocess.Popen(start, stdout=subprocess.PIPE) for start in starts]
    said = [json.loads(shard.communicate()[0]) for shard in shards]
    assert [each["total"] for each in said] == [3, 3, 2]
    words[2] = tmp_path / "whole"
    run(*words)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    shared, whole = (
        {row.input: replace(row, seconds=0) for row in read_ledger(tmp_path / name)} for name in ("out", "whole")
    )
    assert shared == whole
    words[2] = tmp_path / "out"
    assert json.loads(run(*words).stdout)["skipped"] == 7  # a whole run takes up what shards have done
    assert run(*words, "--shard", "3/3").exit_code == 2


@pytest.mark.slow
def test_photos_become_a_paired_set(photos: Path, run: Run, tmp_path: Path) -> None:
    words = ["pairs", "synth", photos, tmp_path / "set", "--yaws", "-40:40:40", "--pitches", "0,10", "--size", 96]
    words += ["--max-turn", 30, "--light", 0.5]
    assert run(*words, "--workers", 2).exit_code == 1  # one photo is damaged
    rows = {row.input: row for row in read_ledger(tmp_path / "set")}
    assert rows["coffee.png"].code == "no-face"
    outputs = rows["ann/1.jpg"].outputs
    assert outputs[0] == "ann-1.jpg"
    assert len(outputs) == 1 + 3 * 2
    assert all(output.startswith("ann-1/yaw") for output in outputs[1:])
    assert len(read_pairs(tmp_path / "set")) == 6 * 6
    with (tmp_path / "set" / "labels.csv").open(newline="") as file:
        labels = list(csv.DictReader(file))
    assert len(labels) == 6 * 7
    [target] = [row for row in labels if row["file"] == "ann-1.jpg"]
    turned = [row for row in labels if row["subject"] == "ann-1" and "yaw+040.0_pitch+000.0" in row["file"]]
    assert target["role"] == "target"
    assert float(turned[0]["yaw"]) == pytest.approx(float(target["yaw"]) + 40, abs=0.11)
    assert -90 <= float(turned[0]["light"]) <= 90
    assert read_photo(tmp_path / "set" / outputs[3]).shape == (96, 96, 3)
    before = tree(tmp_path / "set")
    assert json.loads(run(*words, "--json").stdout)["skipped"] == 7
    assert tree(tmp_path / "set") == before


@pytest.mark.slow
def test_photos_that_are_no_targets_are_rejected_with_their_reason(photos: Path, run: Run, tmp_path: Path) -> None:
    words = ["pairs", "synth", photos / "ann", "--yaws", "20"]
    for more, code in (
        (["--min-sharpness", 1e6], "blurred"),
        (["--max-turn", 0], "turned"),
        (["--size", 512], "small-face"),
    ):
        out = tmp_path / code
        assert run(*words[:3], out, *words[3:], *more).exit_code == 0
        assert {row.code for row in read_ledger(out)} == {code}


def test_random_poses_depend_on_seed_and_name_alone() -> None:
    config = SynthConfig(per_photo=5, light=0.7, yaws=(-60, 60), pitches=(-10, 10))
    poses = draw_poses(config, "ann")
    assert poses == draw_poses(config, "ann")
    assert poses != draw_poses(config, "bea")
    assert poses != draw_poses(SynthConfig(per_photo=5, light=0.7, yaws=(-60, 60), pitches=(-10, 10), seed=1), "ann")
    assert all(abs(yaw) <= 60 and abs(pitch) <= 10 and light is not None for yaw, pitch, light in poses)
    assert np.std([yaw for yaw, _, _ in poses]) > 5


def test_angles_are_spans_or_lists() -> None:
    assert parse_angles("-75:75:15") == tuple(range(-75, 76, 15))
    assert parse_angles("-30,0,12.5") == (-30, 0, 12.5)
    for wrong in ("a", "1:2", "0:10:0", "10:0:5", ""):
        with pytest.raises(ConfigError, match="give first:last:step"):
            parse_angles(wrong)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--yaws", "120"], "must be degrees from -90 to 90"),
        (["--pitches", "60"], "must be degrees from -45 to 45"),
        (["--per-photo", "0"], "per_photo=0: must be 1 or more"),
        (["--light", "2"], "light=2: must be 0 to 1"),
        (["--size", "3"], "size=3: must be 16 to 4096"),
    ],
)
def test_a_wrong_set_up_exits_2(words: list[str], says: str, photos: Path, run: Run, tmp_path: Path) -> None:
    result = run("pairs", "synth", photos, tmp_path / "out", *words)
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
