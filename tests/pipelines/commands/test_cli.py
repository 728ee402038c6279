import dataclasses
import errno
import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import typer

from pipelines.align.config import AlignPhotosConfig
from pipelines.batch.config import FrontalizeConfig
from pipelines.bench.config import BenchConfig
from pipelines.cli import app
from pipelines.commands.terminal.arguments import parse_angles
from pipelines.evaluate.config import EvaluateConfig
from pipelines.pairs.config import ImportConfig, MorphConfig, PairsConfig, SynthConfig, VerifyConfig, ViewsConfig
from pipelines.report.config import ReportConfig
from pipelines.train.config import TrainConfig
from tests.conftest import Run
from toolkit.crops.align import AlignConfig


def verbs(command: Any = None, words: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every command and every group of the app, by the words that call it."""
    command = command or typer.main.get_command(app)
    found = {words: command}
    for name, sub in getattr(command, "commands", {}).items():
        found |= verbs(sub, (*words, name))
    return found


VERBS = verbs()
CONFIGS: dict[tuple[str, ...], list[type]] = {
    ("align",): [AlignConfig, AlignPhotosConfig],
    ("pairs", "build"): [PairsConfig],
    ("pairs", "synth"): [SynthConfig],
    ("pairs", "import"): [ImportConfig],
    ("pairs", "verify"): [VerifyConfig],
    ("pairs", "views"): [ViewsConfig],
    ("pairs", "morph"): [MorphConfig],
    ("train",): [TrainConfig],
    ("batch",): [FrontalizeConfig],
    ("evaluate",): [EvaluateConfig],
    ("report",): [ReportConfig],
    ("bench",): [BenchConfig],
}
HEAVY = {"torch", "mediapipe", "nvidia", "skimage", "jinja2", "onnxruntime"}
HELP_OF_ALL = """
from pipelines.cli import app
app(['--help'], standalone_mode=False)
app(['pairs', '--help'], standalone_mode=False)
"""
WITHOUT_CONFIG = {
    *(("doctor",), ("demo",), ("pairs", "split"), ("pairs", "merge"), ("generate",), ("convert",), ("export",))
}


def test_every_verb_has_a_config_or_is_known_to_have_none() -> None:
    assert {words for words, command in VERBS.items() if not hasattr(command, "commands")} == {
        *CONFIGS,
        *WITHOUT_CONFIG,
    }


@pytest.mark.parametrize("words", CONFIGS, ids=" ".join)
def test_defaults_live_in_the_configs_alone(words: tuple[str, ...]) -> None:
    offered = {option.name: option.default for option in VERBS[words].params if not option.required}
    fields = {field.name: default_of(field) for config in CONFIGS[words] for field in dataclasses.fields(config)}
    common = {name for name in offered.keys() & fields.keys() if fields[name] is not dataclasses.MISSING}
    assert common
    for name in common:
        given = offered[name]
        if isinstance(fields[name], tuple):
            given = parse_angles(given) if isinstance(given, str) else tuple(given or ())  # or a repeatable option
        assert (name, given) == (name, fields[name])


def default_of(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


@pytest.mark.parametrize("words", VERBS, ids=lambda words: " ".join(words) or "frontalize")
def test_every_verb_explains_itself(words: tuple[str, ...], run: Run) -> None:
    command, result = VERBS[words], run(*words, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert command.help
    unexplained = [option.name for option in command.params if option.name != "help" and not option.help]
    assert unexplained == []


def test_a_command_loads_itself_alone() -> None:
    """Worker processes import the command line again: what it loads, they all load."""
    assert loaded_by("import pipelines.cli") & {"rich", "numpy", "cv2", "pipelines.commands.align"} == set()
    script = "from pipelines.cli import app; app(['align', '--help'], standalone_mode=False)"
    found = loaded_by(script)
    assert "pipelines.commands.align" in found
    assert found & {"pipelines.commands.batch", "pipelines.commands.pairs.build", *HEAVY} == set()
    assert {"pipelines.commands.batch", "pipelines.commands.pairs.build"} <= loaded_by(HELP_OF_ALL)
    assert loaded_by(HELP_OF_ALL) & HEAVY == set()


def loaded_by(script: str) -> set[str]:
    """The modules that a process has loaded after a script."""
    script = f"import sys\n{script}\nprint(*sys.modules, file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ended.stderr.split())


def test_doctor_says_that_the_cpu_path_works(run: Run) -> None:
    result = run("doctor", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    checks = {check["name"]: check for check in document["checks"]}
    assert document["ok"]
    assert checks.keys() >= {"Python", "onnxruntime", "torch", "landmark models", "refiner", "CUDA", "disk"}
    assert (checks["Python"]["wanted"], checks["Python"]["verdict"]) == (">=3.11", "ok")
    assert checks["onnxruntime"]["found"] == version("onnxruntime")
    assert checks["landmark models"]["verdict"] == checks["refiner"]["verdict"] == "ok"


def test_doctor_names_the_extra_of_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ("ray", "torch", "nvidia-dali-cuda120")

    def found(name: str) -> str:
        if name in missing:
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr("pipelines.doctor.version", found)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("doctor", "--json")
    assert result.exit_code == 0, result.stderr
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["extra train"] == {
        "name": "extra train",
        "found": "missing: torch, nvidia-dali-cuda120",
        "wanted": "pip install 'frontalize[train]'",
        "verdict": "warn",
    }
    assert checks["extra ray"]["found"] == "missing: ray"
    assert "'frontalize[train]'" in "".join(result.stderr.split()), "the table takes the extra's name for markup"
    assert not checks.keys() & {"torch", "ray", "DALI on the CPU", "extra onnx", "extra dev"}
    assert checks["CUDA"]["verdict"] == "warn"


def test_doctor_exits_2_when_the_landmarks_do_not_load(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libGL.so.1 is missing")

    monkeypatch.setattr("toolkit.landmarks.finder.open_landmarker", broken)
    result = run("doctor", "--json")
    assert result.exit_code == 2
    assert "libGL.so.1 is missing" in result.stdout


@pytest.mark.slow
def test_json_stands_alone_on_stdout(photos: Path, run: Run, tmp_path: Path) -> None:
    result = run("align", photos / "ann", tmp_path / "out", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["written"] == 3
    assert len(result.stdout.strip().splitlines()) == 1
    assert run("align", photos / "ann", tmp_path / "out2", "--quiet").output == ""


def test_the_version_is_the_distributions(run: Run) -> None:
    assert run("--version").stdout.strip() == version("frontalize")


@pytest.mark.parametrize("words", [["--help"], ["align", "photos", "out"]], ids=" ".join)
def test_a_library_that_the_system_lacks_is_one_line(
    words: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare container has no libxcb, which OpenCV loads."""

    def fail(name: str) -> None:
        raise ImportError(f"libxcb.so.1, for {name}")

    monkeypatch.setattr("pipelines.commands.terminal.lazy_group.import_module", fail)
    result = run(*words)
    assert result.exit_code == 2
    said = result.stderr.replace("\n", " ")
    assert said.startswith("error: ") and "libxcb.so.1" in said
    assert "frontalize doctor" in said and "apt-get install libgl1" in said


def test_what_the_system_refuses_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a command meets it: here no code of the command itself expects it."""

    def full(name: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "labels.csv"))

    monkeypatch.setattr("pipelines.commands.terminal.lazy_group.import_module", full)
    result = run("align", "photos", "out")
    assert result.exit_code == 2
    said = result.stderr.replace("\n", "")
    assert said.startswith("error: ") and "labels.csv: No space left on device; repair that" in said


def test_doctor_starts_where_opencv_does_not_load() -> None:
    blocked = "import sys; sys.modules['cv2'] = None; sys.argv = ['frontalize', 'doctor']"
    script = f"{blocked}; from pipelines.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "landmark models" in result.stdout and "the CPU path does not work" in result.stdout + result.stderr
