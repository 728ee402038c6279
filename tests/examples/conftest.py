"""Run the scripts of examples/."""

import contextlib
import io
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, *words: object) -> str:
    """Run a script in this process, which has loaded what most of them load, and return what it prints."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said):
        patch.setattr(sys, "argv", [name, *map(str, words)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return said.getvalue()


def example_alone(name: str, *words: object) -> str:
    """Run a script as a process of its own, as users do: for those that bound their memory or start processes."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, words)]
    place = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    result = subprocess.run(command, env=place, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout
