"""Run a script of examples/."""

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str, *words: object) -> str:
    """Run a script, with this project on its path, and return what it prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, words)]
    place = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    result = subprocess.run(command, env=place, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout
