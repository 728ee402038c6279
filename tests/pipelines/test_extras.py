"""What is not installed is named with the extra that brings it."""

import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from pipelines.extras import TRAINING, Extra, is_installed, require_extra
from tests.conftest import Run
from toolkit.errors import ConfigError

ROOT = Path(__file__).parents[2]
COMMANDS = {  # what needs an extra -> the extra
    ("train", "pairs", "run"): "train",
    ("evaluate", "pairs"): "train",
    ("generate", "run", "faces"): "train",
    ("convert", "run", "half.safetensors"): "train",
    ("export", "refiner", "net.onnx"): "train",
    ("bench",): "train",
    ("demo",): "train",
    ("batch", "photos", "out", "--device", "cuda"): "train",
    ("batch", "photos", "out", "--model", "run/generator.safetensors"): "train",
}


def test_the_extras_are_those_of_the_project() -> None:
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(get_args(Extra)) == named.keys() - {"dev"}
    train = "".join(named["train"])
    assert [name for name in TRAINING if name.replace("_", "-") not in train] == []


def test_a_missing_package_and_the_way_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    require_extra("train", "train", "json", "importlib.util")
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ConfigError, match=r"^demo needs scikit-image, .*; pip install 'frontalize\[demo\]'$"):
        require_extra("demo", "demo", "json", "skimage")
    with pytest.raises(ConfigError, match=r"pip install 'frontalize\[demo\]', or leave it out$"):
        require_extra("demo", "demo", "skimage", instead="leave it out")


def test_a_package_whose_library_is_missing_is_named_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise OSError('libgomp.so.1: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed("broken_package")
    with pytest.raises(ConfigError, match=r"broken_package, which cannot be imported \(libgomp\.so\.1"):
        require_extra("ray", "engine ray", "broken_package")


def test_a_module_of_a_missing_package_is_not_installed() -> None:
    assert not is_installed("no_such_package.part")
    assert is_installed("importlib.util")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_name_the_extra_before_they_work(
    words: tuple[str, ...], run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").symlink_to(photos)
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert f"pip install 'frontalize[{COMMANDS[words]}]'" in result.stderr
    assert "needs torch" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
