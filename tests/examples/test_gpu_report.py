"""examples/gpu: its dry form from end to end, and what it does when something is missing or goes wrong."""

import shutil
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from examples.gpu import comparing, machine, report, running
from examples.gpu.claims import Claim, Lacking, OutOfTime, StepFailed, at_least, at_most
from examples.gpu.state import State
from examples.gpu.training import SETTINGS
from examples.gpu.work import DRY, Sizes, Work, make_photos
from pipelines.train.config import TrainConfig
from pipelines.train.recipes.registry import recipe_settings
from tests.examples.conftest import example_alone
from toolkit.errors import ConfigError
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_atomic


def work_in(out: Path, seconds: float = 60.0, in_process: bool = False) -> Work:
    return Work(out, "cpu", DRY, time.monotonic() + seconds, in_process)


@pytest.mark.slow
def test_the_dry_form_runs_all_steps_and_a_second_call_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report"
    try:
        told = example_alone("gpu/report.py", out, "--dry")
        page = (out / "report.md").read_text()
        assert "**Dry form.**" in page
        assert " 0 fails, " in page
        for step in report.steps(DRY):
            assert f"| {step.name} |" in page
        assert "skipped: no NVIDIA GPU" in page
        started = time.monotonic()
        assert report.report(out, None, 10, dry=True, fresh=False) == 0
        assert capsys.readouterr().out == told
        assert time.monotonic() - started < 10
    finally:
        shutil.rmtree(out, ignore_errors=True)  # 80 MB


def test_without_a_gpu_the_report_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path / "report")])
    assert report.main() == 2
    assert "sees 0 GPUs" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_a_report_goes_on_after_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def step(name: str, ends: Any = None) -> report.Step:
        def run(work: Work) -> list[Claim]:
            ran.append(name)
            if ends and ran.count(name) == 1:
                raise ends
            return [at_most(name, 1, 2)]

        return report.Step(name, 1, run)

    steps = [step("one"), step("two", KeyboardInterrupt()), step("three", Lacking("DALI not installed"))]
    monkeypatch.setattr(report, "steps", lambda sizes: steps)
    out = tmp_path / "report"
    assert report.report(out, None, 1, dry=True, fresh=False) == report.INTERRUPTED
    assert report.report(out, None, 1, dry=True, fresh=False) == 0
    assert "skipped: DALI not installed" in (out / "report.md").read_text()
    with (out / "state.jsonl").open("a") as file:
        file.write('{"step": "thr')  # a line that a stop has cut
    assert report.report(out, None, 1, dry=True, fresh=False) == 0
    assert ran == ["one", "two", "two", "three", "three"]
    assert "0 fails, 0 skipped" in (out / "report.md").read_text()
    with pytest.raises(ConfigError, match="holds another report"):
        report.report(out, tmp_path, 1, dry=True, fresh=False)
    assert report.report(out, None, 1, dry=True, fresh=True) == 0
    assert ran[5:] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        (Lacking("NVML missing"), "skipped: NVML missing"),
        (OutOfTime("train was ended"), "skipped: no time left (train was ended); call again to go on"),
        (StepFailed("`align` ended with 2"), "fails"),
        (RuntimeError("CUDA error"), "fails"),
    ],
)
def test_a_step_that_ends_is_a_row(tmp_path: Path, ends: Exception, verdict: str) -> None:
    def run(work: Work) -> list[Claim]:
        raise ends

    state = State(tmp_path / "state.jsonl", {}, fresh=False)
    report.run_step(report.Step("step", 1, run), work_in(tmp_path), state, hurried=True)
    assert [claim.verdict for claim in state.claims("step")] == [verdict]
    assert State(tmp_path / "state.jsonl", {}, fresh=False).steps == {}  # the next call tries again


def test_a_step_that_does_not_fit_is_not_begun(tmp_path: Path) -> None:
    state = State(tmp_path / "state.jsonl", {}, fresh=False)
    report.run_step(report.Step("step", 90, comparing.align), work_in(tmp_path), state, hurried=True)
    assert [claim.verdict for claim in state.claims("step")] == ["skipped: no time left; call again to go on"]


def test_a_claim_that_fails_is_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = report.Step("step", 1, lambda work: [at_least("ratio", 0.5, 1)])
    monkeypatch.setattr(report, "steps", lambda sizes: [step])
    assert report.report(tmp_path / "report", None, 1, dry=True, fresh=False) == 1
    assert "| ratio | 0.5 | at least 1 | fails |" in (tmp_path / "report" / "report.md").read_text()


def test_values_that_are_no_numbers_fail() -> None:
    assert at_most("a", float("nan"), 1).verdict == at_least("a", float("nan"), 1).verdict == "fails"


def test_commands_in_processes_of_their_own_answer_fail_and_are_ended(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    assert work.call("pipelines.cli:main", "--version").strip()
    with pytest.raises(StepFailed, match=r"align.*ended with 2: .*no such folder"):
        work.frontalize("align", tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(OutOfTime, match="pipelines.cli:main was ended"):
        work_in(tmp_path, seconds=0).call("pipelines.cli:main", "--version")


def test_images_that_differ_fail(tmp_path: Path) -> None:
    for name, level in (("one", 100), ("other", 101), ("another", 130)):
        for file in ("a.png", "b/b.png"):
            write_atomic(tmp_path / name / file, encode_image(np.full((8, 8, 3), level, np.uint8), ".png"))
    (tmp_path / "other" / "a.png").unlink()
    verdicts = {
        name: [claim.verdict for claim in comparing._same_images("x", tmp_path / "one", tmp_path / name)]
        for name in ("one", "other", "another")
    }
    assert verdicts["one"] == ["holds", "holds", "holds", "measured"]
    assert verdicts["other"] == ["fails", "fails", "holds", "measured"]  # one is missing, one brighter by a level
    assert verdicts["another"] == ["holds", "fails", "fails", "measured"]


def test_photos_of_a_user_are_named_by_numbers(tmp_path: Path, photos: Path) -> None:
    make_photos(work_in(tmp_path), photos)
    names = sorted(path.name for path in work_in(tmp_path).many.iterdir())
    assert names == ["0000_0000.jpg", "0000_0001.jpg", "0000_0002.jpg"]
    assert read_photo(work_in(tmp_path).few / names[0]).shape == (400, 512, 3)


def test_nvml_is_read_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(Lacking, match="NVML missing"):
        machine.utilization_reader("cuda:1")
    asked: list[int] = []
    stub = SimpleNamespace(
        NVMLError=OSError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=asked.append,
        nvmlDeviceGetUtilizationRates=lambda handle: SimpleNamespace(gpu=75),
    )
    monkeypatch.setitem(sys.modules, "pynvml", stub)
    assert machine.utilization_reader("cuda:1")() == 0.75
    assert asked == [1]


def test_all_recipes_that_are_trained_take_the_settings_for_it() -> None:
    for recipe in Sizes().recipes:
        assert recipe_settings(TrainConfig(dataset="", recipe=recipe, settings=SETTINGS.get(recipe, {}))).batch_size


def test_without_dali_a_training_is_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_installed", lambda name: False)
    with pytest.raises(Lacking, match="DALI not installed"):
        running.train(work_in(tmp_path), "scaleway")
