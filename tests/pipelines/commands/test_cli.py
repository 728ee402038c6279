import dataclasses
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.align.config import AlignPhotosConfig
from pipelines.batch.config import FrontalizeConfig
from pipelines.bench.config import BenchConfig
from pipelines.commands import align, batch, bench, evaluate, report, train
from pipelines.commands.pairs import build
from pipelines.evaluate.config import EvaluateConfig
from pipelines.pairs.config import PairsConfig
from pipelines.report.config import ReportConfig
from pipelines.train.config import TrainConfig
from tests.conftest import Run
from toolkit.crops.align import AlignConfig


@pytest.mark.parametrize(
    ("command", "configs"),
    [
        (align.align, [AlignConfig, AlignPhotosConfig]),
        (build.build, [PairsConfig]),
        (train.train, [TrainConfig]),
        (batch.batch, [FrontalizeConfig]),
        (evaluate.evaluate, [EvaluateConfig]),
        (report.report, [ReportConfig]),
        (bench.bench, [BenchConfig]),
    ],
)
def test_defaults_live_in_the_configs_alone(command: object, configs: list[type]) -> None:
    offered = {name: option.default for name, option in inspect.signature(command).parameters.items()}  # type: ignore[arg-type]
    fields = {field.name: field.default for config in configs for field in dataclasses.fields(config)}
    common = {name for name in offered.keys() & fields.keys() if fields[name] is not dataclasses.MISSING}
    common -= {name for name in common if offered[name] is inspect.Parameter.empty}
    assert common
    assert {name: offered[name] for name in common} == {name: fields[name] for name in common}


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["align"],
        ["pairs"],
        ["pairs", "build"],
        ["train"],
        ["batch"],
        ["evaluate"],
        ["doctor"],
        ["demo"],
        ["export"],
        ["report"],
        ["bench"],
    ],
)
def test_every_verb_explains_itself(words: list[str], run: Run) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout


def test_help_loads_neither_torch_nor_mediapipe() -> None:
    """Worker processes import the command line again: what it loads, they all load."""
    script = (
        "import sys, pipelines.cli; print([m for m in ('torch', 'mediapipe', 'nvidia', 'skimage') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_doctor_says_that_the_cpu_path_works(run: Run) -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    checks = {check["name"]: check for check in document["checks"]}
    assert document["ok"]
    assert checks.keys() >= {"Python", "mediapipe", "torch", "landmark models", "DALI on the CPU", "CUDA", "disk"}
    assert checks["mediapipe"]["found"] == "0.10.21"
    assert checks["landmark models"]["verdict"] == "ok"


def test_doctor_exits_2_when_the_landmarks_do_not_load(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libGL.so.1 is missing")

    monkeypatch.setattr("toolkit.landmarks.finder.open_landmarker", broken)
    result = run("doctor", "--json")
    assert result.exit_code == 2
    assert "libGL.so.1 is missing" in result.stdout


def test_json_stands_alone_on_stdout(photos: Path, run: Run, tmp_path: Path) -> None:
    result = run("align", photos / "ann", tmp_path / "out", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["written"] == 3
    assert len(result.stdout.strip().splitlines()) == 1
    assert run("align", photos / "ann", tmp_path / "out2", "--quiet").output == ""


def test_the_version_is_the_distributions(run: Run) -> None:
    from importlib.metadata import version

    assert run("--version").stdout.strip() == version("frontalize")
