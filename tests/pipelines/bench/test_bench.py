"""The machine's rates: that a watch counts what it should, and that every figure of the table comes from it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipelines.bench import bench
from pipelines.bench.bench import NETWORK, ONE_BY_ONE, Bench
from pipelines.bench.config import BenchConfig
from pipelines.bench.photo_stages import STAGES, PhotoTimes, TimingJob
from pipelines.bench.rates import Timing, steady_rates
from pipelines.commands.bench import _duration, sample_photos
from pipelines.runtime.stage_timer import StageSeconds, record_stages, stage
from tests.conftest import Run
from tests.pretended_gpu import GPU, pretended_gpu
from toolkit.photos.decode import read_photo


def test_an_outer_stage_stands_still_while_an_inner_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 1.0, 4.0, 4.5, 10.0, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(moments))
    seconds: StageSeconds = {}
    with record_stages(seconds, "here"):
        with stage("warp"), stage("decode"):
            pass
        with pytest.raises(ValueError, match="damaged"), stage("decode"):
            raise ValueError("damaged")
    with stage("decode"):  # nobody asked
        pass
    assert seconds == {("here", "warp"): 1.5, ("here", "decode"): 5.0}


def test_start_and_end_of_a_run_do_not_count() -> None:
    start = [9.0 * number for number in range(10)]
    busy = [100 + number / 4 for number in range(41)]
    end = [120 + 9.0 * number for number in range(9)]
    assert steady_rates(start + busy + end) == pytest.approx([4, 4, 4])


def test_the_estimate_is_the_median_times_the_cores() -> None:
    row = Timing("decode", "", "1 core", "photos", [10, 50, 20], copies=4).row((1_000,))
    assert (row["per_second"], row["slowest"], row["fastest"]) == (20, 10, 50)
    assert row["seconds"] == {"1000": 12.5}


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (99, "99 s"), (150, "2.5 min"), (50_000, "14 h"), (1e6, "12 days")]
)
def test_durations_read_well(seconds: float, said: str) -> None:
    assert _duration(seconds) == said


@pytest.mark.slow
def test_every_stage_is_measured_on_the_photos_given(photos: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six faces, one photo without, one damaged."""
    monkeypatch.setattr("pipelines.bench.bench.MIN_SECONDS", 0.01)
    monkeypatch.setattr("pipelines.commands.bench.PER_WORKER", 24)
    result = run("bench", photos, "--rounds", 1, "--workers", 1, "--device", "cpu", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["photos"], said["with_face"], said["width"], said["workers"]) == (7, 6, 512 - 20, 1)
    stages = {row["stage"]: row for row in said["stages"]}
    assert list(stages) == [*STAGES, "loader", "train step", "refiner", "refiner, singly"]
    for row in (*stages.values(), *said["end_to_end"]):
        assert 0 < row["slowest"] <= row["per_second"] <= row["fastest"]
        assert row["seconds"]["1000"] == pytest.approx(1_000 / row["per_second"])
        assert row["seconds"]["1000000"] == pytest.approx(1_000 * row["seconds"]["1000"])
    assert [row["model"] for row in said["end_to_end"]] == ["geometric", "refiner"]
    for row in said["end_to_end"]:
        assert row["limited_by"] in stages
        assert row["of_stages"] > 0.1
        assert row["times_plain_loop"] > 0.1
    geometric = said["end_to_end"][0]  # the refiner's photos are too few for its rate: they end as one batch
    assert max(geometric["of_stages"], geometric["times_plain_loop"]) < 10  # what is timed is what is run
    assert "train step" in result.stderr


def test_on_a_gpu_stages_compute_as_the_commands_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`batch` in float32, `train` with torch's own precision."""
    in_tf32: dict[str, bool] = {}

    def note(name: str) -> Any:
        def work(*inputs: object) -> Any:
            in_tf32[name] = torch.backends.cudnn.allow_tf32
            return SimpleNamespace(image=torch.zeros(1))

        return work

    loader = SimpleNamespace(batches=lambda *_: iter(range(10**9)))
    for name, stand_in in (
        ("open_fabric", lambda *_: SimpleNamespace(device=GPU)),
        ("_open_loader", lambda *_: (loader, "none")),
        ("make_recipe", lambda *_: SimpleNamespace(step=note("train step"))),
        ("open_generator", lambda *_: note(NETWORK)),
        ("load_generator", lambda *_: (note(ONE_BY_ONE), None)),
        ("machine", lambda _: {"device": "a GPU"}),
    ):
        monkeypatch.setattr(bench, name, stand_in)
    monkeypatch.setattr(bench, "MIN_SECONDS", 0.01)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    measured = Bench([], tmp_path, BenchConfig(rounds=1), 1)
    monkeypatch.setattr(measured, "_time_photos", lambda _: iter(()))
    measured._last = [PhotoTimes(TimingJob(1, tmp_path, "0.jpg"), has_face=True)]
    assert torch.backends.cudnn.allow_tf32  # torch's default
    with pretended_gpu():
        assert len(list(measured.run(lambda: False))) == 2 * 4
    assert in_tf32 == {"train step": True, NETWORK: False, ONE_BY_ONE: False}
    assert torch.backends.cudnn.allow_tf32


def test_without_photos_a_portrait_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.demo_photos.PHOTOS", 3)
    sample = sample_photos(None, tmp_path, 32)
    assert len(sample) == 3
    assert {read_photo(file).shape[2] for file in sample} == {3}
    assert len(sample_photos(tmp_path, tmp_path, 2)) == 2


@pytest.mark.slow
def test_wrong_set_ups_are_refused(photos: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "faceless").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / "faceless" / "coffee.png").symlink_to(photos / "coffee.png")
    refusals = {"none": "no such folder", "empty": "no photo in it", "faceless": "has a face"}
    for name, says in refusals.items():
        result = run("bench", tmp_path / name)
        assert result.exit_code == 2
        assert says in result.stderr.replace("\n", " ")
    assert run("bench", photos, "--rounds", 0).exit_code == 2
    assert run("bench", photos, "--device", f"cuda:{torch.cuda.device_count()}").exit_code == 2
