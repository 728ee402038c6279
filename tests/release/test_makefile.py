"""What the Makefile decides by itself, with stand-ins for Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = """#!/bin/sh
case "$*" in
*sys.version_info*) echo "{name}" ;;
"-m venv"*) echo "$*" > asked && mkdir -p .venv/bin && cp {name} .venv/bin/python && cp {name} .venv/bin/pip ;;
esac
"""


def set_up(folder: Path, python: str) -> str:
    """Run ``make .venv/ready`` with a stand-in; return how venv was called."""
    (folder / python).write_text(STAND_IN.format(name=python))
    (folder / python).chmod(0o755)
    (folder / ".venv" / "ready").unlink(missing_ok=True)  # as after a change of pyproject.toml
    made = subprocess.run(
        ["make", ".venv/ready", f"PYTHON=./{python}"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return (folder / "asked").read_text().strip()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_an_environment_of_another_python_is_made_anew(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    assert set_up(tmp_path, "python3.11") == "-m venv --clear .venv"  # nothing there that it could clear
    assert set_up(tmp_path, "python3.11") == "-m venv .venv"  # what is installed stays
    assert set_up(tmp_path, "python3.12") == "-m venv --clear .venv"
