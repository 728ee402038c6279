"""The comparison with the plain loop: both sides do the same job, and the figures are those of the runs."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipelines.bench import plain_loop
from pipelines.bench.against import OURS, PLAIN, AgainstPlain, Comparison
from pipelines.bench.against import Run as OneRun
from pipelines.bench.config import BenchConfig
from pipelines.bench.plain_loop import align_one_by_one, frontalize_one_by_one
from pipelines.runtime.config import BulkConfig
from tests.conftest import Run
from tests.faces import FACES
from toolkit.errors import ConfigError
from toolkit.networks import runtime
from toolkit.photos.types import Image
from toolkit.views.frontal import FrontalView

ID = "0[0-4]*_frontal"  # 003, 021, 025, 030, 038, 045


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frontal faces, a photo without one, and a file that is none."""
    folder = tmp_path_factory.mktemp("faces")
    for path in FACES.glob(f"{ID}.jpg"):
        shutil.copy(path, folder)
    cv2.imwrite(str(folder / "gray.png"), np.full((64, 64, 3), 128, np.uint8))
    (folder / "notes.jpg").write_text("not a photo")
    return folder


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain loop opens networks of its own; other tests get theirs back."""
    monkeypatch.setattr(runtime, "_built_in", {})
    monkeypatch.setattr(runtime, "_open", runtime._open)


def difference(one: Path, other: Path) -> float:
    """Mean difference of two images, levels. `align` fits a doubtful mesh twice, which moves a crop by up to 2 %."""
    images = [np.asarray(cv2.imread(str(path)), np.float64) for path in (one, other)]
    assert images[0].shape == images[1].shape == (256, 256, 3)
    return float(np.abs(images[0] - images[1]).mean())


def test_the_plain_loop_cuts_the_same_crops(faces: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "plain").mkdir()
    align_one_by_one(faces, tmp_path / "plain", None)
    assert run("align", faces, tmp_path / "ours", "--workers", 1).exit_code == 1  # the file that is none
    names = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "ours").glob("*.jpg"))
    assert len(names) == 6
    assert max(difference(tmp_path / "plain" / name, tmp_path / "ours" / name) for name in names) < 8


def test_on_a_gpu_the_plain_loop_computes_as_batch_does(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_tf32: list[bool] = []

    def refine(view: FrontalView) -> Image:
        in_tf32.append(torch.backends.cudnn.allow_tf32)
        return view.image

    monkeypatch.setattr(plain_loop, "_open_refiner", lambda device: refine)
    assert torch.backends.cudnn.allow_tf32  # torch's default
    frontalize_one_by_one(faces, tmp_path, None, "cuda:0")
    assert in_tf32 == [False] * 6
    assert torch.backends.cudnn.allow_tf32


@pytest.mark.slow
def test_mediapipe_finds_the_same_faces(faces: Path, shared: Path, tmp_path: Path) -> None:
    for name, bundle in (("built-in", None), ("mediapipe", shared / "models" / "face_landmarker.task")):
        (tmp_path / name).mkdir()
        align_one_by_one(faces, tmp_path / name, bundle)
    names = sorted(path.name for path in (tmp_path / "mediapipe").iterdir())
    assert len(names) == 6
    assert max(difference(tmp_path / "mediapipe" / name, tmp_path / "built-in" / name) for name in names) < 8


@pytest.mark.slow
def test_the_plain_loop_draws_the_same_views(faces: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "plain").mkdir()
    frontalize_one_by_one(faces, tmp_path / "plain", None, "cpu")
    assert run("batch", faces, tmp_path / "ours", "--workers", 1, "--device", "cpu").exit_code == 1
    names = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert len(names) == 6
    assert max(difference(tmp_path / "plain" / name, tmp_path / "ours" / name) for name in names) < 8


def test_the_comparison_needs_no_torch() -> None:
    modules = ("commands.bench", "commands.bench_against", "bench.plain_loop", "align.align_photos", "batch.network")
    script = f"import sys, {', '.join(f'pipelines.{name}' for name in modules)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "pipelines.bench.against" in loaded
    assert {"torch", "mediapipe", "skimage"} & set(loaded) == set()


def test_the_figures_are_those_of_the_runs() -> None:
    plain = [OneRun(10, 12, 90), OneRun(8, 8, 90), OneRun(20, 20, 90)]
    ours = [OneRun(5, 9, 99), OneRun(2, 4, 99), OneRun(4, 8, 99)]
    row = Comparison("align", 100, {PLAIN: plain, OURS: ours}).row()
    assert (row["ratio"], row["least_ratio"], row["greatest_ratio"]) == (4, 2, 5)
    assert row["plain"] == {
        "per_second": 10,
        "slowest": 5,
        "fastest": 12.5,
        "cores_used": 1,
        "cpu_seconds_per_photo": 0.12,
        "written": 90,
    }
    assert (row["frontalize"]["per_second"], row["frontalize"]["cores_used"]) == (25, 2)


@pytest.mark.slow
def test_both_sides_are_measured_on_the_photos_given(faces: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.commands.bench.PER_WORKER", 6)
    monkeypatch.setattr("os.getloadavg", lambda: (99.0, 0.0, 0.0))
    words = ("--against", "plain", "--photos", 1, "--rounds", 1, "--workers", 1, "--device", "cpu", "--json")
    result = run("bench", faces, *words)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["photos"], said["different_photos"], said["rounds"], said["workers"]) == (6, 6, 1, 1)
    assert [row["command"] for row in said["comparisons"]] == ["align", "batch"]
    for row in said["comparisons"]:
        assert 0 < row["least_ratio"] <= row["ratio"] <= row["greatest_ratio"]
        assert row["plain"]["written"] == row["frontalize"]["written"] >= 4
        for side in (row["plain"], row["frontalize"]):
            assert 0 < side["slowest"] <= side["per_second"] <= side["fastest"]
            assert side["cpu_seconds_per_photo"] > 0.005  # workers' time is counted, too
            assert side["cores_used"] > 0.05
    assert "times the plain loop" in result.stderr
    assert "load 99.0" in result.stderr and "when it is idle" in result.stderr.replace("\n", " ")


def test_the_sides_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AgainstPlain, "_measure", lambda *_: OneRun(1, 1, 1))
    (tmp_path / "photo.jpg").touch()
    bulk = BulkConfig(workers=1)
    compared = AgainstPlain(tmp_path, tmp_path, BenchConfig(rounds=2), "cpu", bulk)
    order = list(compared.run(lambda: False))
    assert len(order) == len(compared)
    assert [name.partition(", ")[2] for name in order] == [PLAIN, OURS, OURS, PLAIN] * 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--against", "plain", "--landmarker", "no.task"], "no.task"),
        (["--landmarker", "no.task"], "add --against plain"),
        (["--against", "other"], "plain"),
    ],
    ids=" ".join,
)
def test_wrong_set_ups_are_named(words: list[str], says: str, faces: Path, run: Run) -> None:
    result = run("bench", faces, *words, "--rounds", 1, "--workers", 1)
    assert result.exit_code == 2
    assert says in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_a_side_that_writes_nothing_or_dies_is_named(tmp_path: Path) -> None:
    source, scratch = tmp_path / "photos", tmp_path / "scratch"
    source.mkdir()
    scratch.mkdir()
    cv2.imwrite(str(source / "gray.jpg"), np.full((64, 64, 3), 128, np.uint8))
    compared = AgainstPlain(source, scratch, BenchConfig(rounds=1), "cpu", BulkConfig(workers=1))
    with pytest.raises(ConfigError, match=r"align, plain loop: no output; give a SRC with portraits"):
        list(compared.run(lambda: False))
    with pytest.raises(ConfigError, match=r"some side: ended with 1; leave out photos"):
        compared._measure("some side", missing, lambda: False)
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_a_run_that_is_on(tmp_path: Path) -> None:
    compared = AgainstPlain(tmp_path, tmp_path, BenchConfig(rounds=1), "cpu", BulkConfig(workers=1))
    started = time.monotonic()
    assert compared._measure("some side", wait, lambda: time.monotonic() - started > 1) is None
    assert time.monotonic() - started < 60
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "photo.jpg").touch()
    assert list(compared.run(lambda: True)) == []


def missing(source: Path, out: Path) -> None:
    (source / "missing").read_bytes()


def wait(source: Path, out: Path) -> None:
    time.sleep(600)
