"""The rules of the house, as tests: what `make lint` says, CI says too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("toolkit", "models", "pipelines") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize(
    "command", [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"], ["lint-imports"]], ids=" ".join
)
def test_the_gates_are_green(command: list[str]) -> None:
    tool = Path(sys.executable).with_name(command[0])
    result = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_readable(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 300
    module = ast.parse(text)
    classes = [node for node in module.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    public = [*module.body, *(node for part in classes for node in part.body)]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, f"{node.name} is too long"
            if not node.name.startswith("_"):
                assert ast.get_docstring(node) or node not in public, f"{node.name} has no docstring"


def test_every_dependency_has_both_bounds() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    loose = [line for line in project["dependencies"] if "==" not in line and not (">=" in line and "<" in line)]
    assert loose == []
