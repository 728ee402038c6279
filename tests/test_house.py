"""The rules of the project as tests: what `make lint` reports, and what its tools do not check."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("toolkit", "models", "pipelines")
FOLDERS = (*PACKAGES, "tests", "examples")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TESTS = [path for path in SOURCES if path.name.startswith("test_")]
TEXTS = sorted(
    path
    for folder in (*FOLDERS, "docs")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".md", ".html", ".ipynb")
) + [ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]

ELSEWHERE = {"models.G"}  # a class in the published pickles
MOST_LINES = 300  # of a file
MOST_LINES_OF_FUNCTION = 60
MOST_MODULES = 12  # of a folder, without __init__

CITED_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
CITED_PAGE = re.compile(r"(?<![\w./-])[A-Z]\w*\.md\b")
CITED_TEST = re.compile(r"(?<![\w./-])test_\w+\.py\b")
CITED_NAME = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+")


# numpy's stubs are written in the syntax of the oldest Python that its release supports.
RUNNING_PYTHON = ["--python-version", f"{sys.version_info.major}.{sys.version_info.minor}"]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", *RUNNING_PYTHON], ["lint-imports"]],
    ids=" ".join,
)
def test_the_gates_are_green(command: list[str]) -> None:
    tool = Path(sys.executable).with_name(command[0])
    result = subprocess.run([tool, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_files_and_functions_stay_readable() -> None:
    assert [name_of(path) for path in SOURCES if path.read_text().count("\n") > MOST_LINES] == []
    functions = [(name_of(path), function) for path in SOURCES for function in functions_of(path)]
    assert functions
    assert [(path, function.name) for path, function in functions if length_of(function) > MOST_LINES_OF_FUNCTION] == []


def test_public_functions_have_docstrings() -> None:
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] not in PACKAGES:
            continue
        body = parsed(path).body
        classes = [node for node in body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for node in [*body, *(node for part in classes for node in part.body)]:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), f"{name_of(path)}: {node.name} has no docstring"


def test_no_folder_holds_more_modules_than_one_can_survey() -> None:
    modules = Counter(name_of(path.parent) for path in SOURCES if path.name != "__init__.py")
    assert {folder: count for folder, count in modules.items() if count > MOST_MODULES} == {}


def test_packages_hold_no_code_of_their_own() -> None:
    """An empty ``__init__``, or a docstring alone: importing a package loads nothing else."""
    for path in SOURCES:
        if path.name == "__init__.py":
            module = parsed(path)
            rest = module.body[1:] if ast.get_docstring(module) else module.body
            assert rest == [], name_of(path)


def test_tests_share_helpers_and_not_each_other() -> None:
    for path in TESTS:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom):
                imported = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
                assert not [name for name in imported if re.search(r"^tests\..*\btest_\w+$", name)], name_of(path)


def test_every_test_can_fail() -> None:
    """It asserts, expects an error, or calls a helper that does."""
    helpers = [path for path in SOURCES if path.is_relative_to(ROOT / "tests") and path not in TESTS]
    shared = {function.name for path in helpers for function in functions_of(path) if can_fail(function)}
    for path in TESTS:
        failing = shared | {function.name for function in functions_of(path) if can_fail(function)}
        for test in functions_of(path):
            if test.name.startswith("test_"):
                assert can_fail(test) or called_by(test) & failing, f"{name_of(path)}: {test.name}"


def test_what_a_text_cites_is_in_the_project() -> None:
    """Files, pages, tests and dotted names, in comments and strings of a source and in all of a page."""
    tests = {test.name for test in TESTS}
    for path in TEXTS:
        text = "\n".join(words_of(path))
        lost = [cited for cited in CITED_PATH.findall(text) + CITED_PAGE.findall(text) if not (ROOT / cited).exists()]
        lost += [cited for cited in CITED_TEST.findall(text) if cited not in tests]
        lost += [cited for cited in CITED_NAME.findall(text) if not (cited in ELSEWHERE or exists(cited))]
        assert (name_of(path), lost) == (name_of(path), [])


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def functions_of(path: Path) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(parsed(path)) if isinstance(node, ast.FunctionDef)]


def length_of(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno


def called_by(function: ast.FunctionDef) -> set[str]:
    """Return the last words of the names that a function calls."""
    calls = (call.func for call in ast.walk(function) if isinstance(call, ast.Call))
    return {ast.unparse(name).rpartition(".")[2] for name in calls}


def can_fail(function: ast.FunctionDef) -> bool:
    asserts = any(isinstance(part, ast.Assert) for part in ast.walk(function))
    return asserts or any(name == "raises" or name.startswith("assert_") for name in called_by(function))


def words_of(path: Path) -> Iterator[str]:
    """Yield a text, or a source's comments and strings."""
    if path.suffix != ".py":
        yield path.read_text()
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield token.string


def exists(name: str) -> bool:
    """Tell whether a dotted name leads to a package, a module, or something that a module defines or imports."""
    place, left = ROOT, name.split(".")
    while left and (place / left[0]).is_dir():
        place, left = place / left[0], left[1:]
    if not left:
        return True
    module = place / f"{left[0]}.py"
    return module.is_file() and (len(left) == 1 or left[1] in defined_in(module))


@cache
def defined_in(module: Path) -> set[str]:
    """Return the names at a module's top level."""
    found: set[str] = set()
    for node in parsed(module).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        else:
            found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found


def test_every_dependency_has_both_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    loose = [line for line in project["dependencies"] if "==" not in line and not (">=" in line and "<" in line)]
    assert loose == []
