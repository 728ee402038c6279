"""What `pip install frontalize` brings without an extra: the real command line, where nothing else can be imported."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FRONTALIZE, Run, tree
from tests.faces import FACES
from toolkit.records.ledger import read_ledger

# Read by Python at its start, also in worker processes.
BLOCKER = """
import sys

BLOCKED = {
    "torch", "torchvision", "torchmetrics", "lightning_fabric", "lightning", "safetensors", "tensorboard", "nvidia",
    "mediapipe", "matplotlib", "onnx", "onnxscript", "ray", "pyarrow", "skimage", "scipy", "datasets", "pandas",
}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
Light = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Light:
    """The command line in a process of its own, without the packages of the extras."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text(BLOCKER)

    def call(*words: object) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"PYTHONPATH": str(folder)}
        command = [*FRONTALIZE, *map(str, words)]
        return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four London faces of two people: frontal photos and turned ones."""
    folder = tmp_path_factory.mktemp("london")
    for path in sorted(FACES.glob("*.jpg")):
        if path.name[:3] in ("003", "061"):
            shutil.copy(path, folder)
    return folder


def test_the_blocker_blocks(light: Light) -> None:
    result = light("doctor", "--json")
    assert result.returncode == 0, result.stderr
    assert '"CUDA", "found": "used through torch, which is missing"' in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ["align"],
        ["batch", "--model", "geometric", "--size", "128"],
        ["batch"],
        ["batch", "--size", "96"],
        ["batch", "--paste-back", "--max-turn", "45"],
        ["batch", "--paste-back", "--model", "geometric"],
    ],
    ids=" ".join,
)
def test_outputs_are_those_of_the_full_install(
    words: list[str], light: Light, faces: Path, run: Run, tmp_path: Path
) -> None:
    command, *options = words
    options += ["--format", "png", "--workers", "1"]
    result = light(command, faces, tmp_path / "light", *options)
    assert result.returncode == 0, result.stderr
    assert run(command, faces, tmp_path / "full", *options).exit_code == 0
    assert len(tree(tmp_path / "light")) >= 2
    assert tree(tmp_path / "light") == tree(tmp_path / "full")
    settings = [{row.settings for row in read_ledger(tmp_path / out)} for out in ("light", "full")]
    assert settings[0] == settings[1] != {""}
    result = light("report", tmp_path / "light", "--workers", 1)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "light" / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_paired_sets_are_built_checked_and_split(light: Light, faces: Path, tmp_path: Path) -> None:
    for words in (
        ["pairs", "build", faces, tmp_path / "set", "--subjects", r"^(\d+)_", "--workers", 1],
        ["pairs", "synth", faces, tmp_path / "turned", "--yaws=-30,30", "--round-trip", "--workers", 1],
        ["pairs", "verify", tmp_path / "set", "--workers", 1],
        ["pairs", "split", tmp_path / "set", "--val", "50%"],
    ):
        result = light(*words)
        assert result.returncode == 0, (words, result.stdout + result.stderr)
    assert any("left_3quarter" in name for name in tree(tmp_path / "set"))
    assert len(tree(tmp_path / "turned")) >= 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "package", "extra"),
    [
        (["train", "set", "run"], "torch", "train"),
        (["evaluate", "set"], "torch", "train"),
        (["bench", "{faces}"], "torch", "train"),
        (["export", "refiner", "net.onnx"], "torch", "train"),
        (["batch", "{faces}", "out", "--device", "cuda"], "torch", "train"),
        (["batch", "{faces}", "out", "--model", "geometric", "--engine", "ray"], "ray", "ray"),
        (["align", "{faces}", "out", "--landmarker", __file__], "mediapipe", "mediapipe"),
        (["demo", "out"], "torch", "train"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_what_is_missing_is_named(words: list[str], package: str, extra: str, light: Light, faces: Path) -> None:
    result = light(*(word.format(faces=faces) for word in words))
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stderr.startswith("error: ")
    assert package in result.stderr
    assert f"pip install 'frontalize[{extra}]'" in result.stderr.replace("\n", " ")
    assert "Traceback" not in result.stderr
