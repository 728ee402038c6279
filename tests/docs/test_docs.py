"""Every code block of the README and of docs/ works, every link leads somewhere, and the README stays short.

``console`` and ``python`` blocks run in a folder of small photos, in the order of the page; training is cut to two
steps. What a ``console`` block shows below a command is compared with what it prints, see
:func:`tests.docs.pages.matches`. A ``text`` block is the output of the Python block before it, or a tree. ``json`` and
``csv`` blocks are parsed.

``sh`` blocks do not run: they set up an environment, need several machines, a GPU or data that is not here, or take
minutes. Their commands are checked without running them: ``frontalize`` by the command line's own parser, ``make`` by
the Makefile, scripts by their existence.
"""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from pipelines.cli import app
from pipelines.pairs.verification.checks import REMEDIES
from pipelines.train.recipes.registry import RECIPES
from tests.docs.pages import KINDS, PAGES, ROOT, Block, blocks, steps, words
from tests.docs.workplace import SHELL, Workplace

README = ROOT / "README.md"
MAX_README_LINES = 160
LAUNCHERS = ("srun", "torchrun")  # commands that start another one
TOOLS = ("pip", "apt-get", "sbatch", "ray", "python", "make")
CARD = ROOT / "models" / "weights" / "README.md"
LINKING = [*PAGES, CARD, *(ROOT / name for name in ("SECURITY.md", "CHANGELOG.md", "examples/README.md"))]

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)|\]\(#([^)\s]+)\)")
_REASON = re.compile(r"Photo(?:Rejected|Failed)\(\s*\"([a-z-]+)\"")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workplace = Workplace(tmp_path, monkeypatch, exact_counts=page != README)
    for block in blocks(page):
        workplace.run(block)
    workplace.finish()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_has_a_kind_and_parses(page: Path) -> None:
    found = blocks(page)
    assert page.read_text().count("```") == 2 * len(found)
    for block in found:
        assert block.kind in KINDS, f"{page.name}, line {block.line}"
        if block.kind == "json":
            json.loads(block.text)
        elif block.kind == "csv":
            assert len({len(row) for row in csv.reader(block.text.splitlines())}) == 1
        elif block.kind == "python":
            compile(block.text, page.name, "exec")


@pytest.mark.parametrize("page", [*PAGES, CARD], ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_command_of_a_page_has_the_options_that_it_shows(page: Path) -> None:
    for block in blocks(page):
        for command in _commands(block):
            _check_command(command, f"{page.name}, line {block.line}: {command}")


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MAX_README_LINES


@pytest.mark.parametrize("page", LINKING, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.finditer(page.read_text()):
        target, heading = link[1] or page.name, link[2] or link[3]
        if target.startswith(("https://", "mailto:")):
            continue
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
        if heading:
            assert heading in _anchors(page.parent / target), f"{page.name} links to {target}#{heading}"


def test_the_readme_names_every_page_and_every_command() -> None:
    text = README.read_text()
    assert [page.name for page in PAGES if page != README and f"docs/{page.name}" not in text] == []
    assert [name for name in _verbs() if f"frontalize {name}" not in text] == []


def test_the_codes_of_verify_are_explained() -> None:
    text = (ROOT / "docs" / "paired-sets.md").read_text()
    assert [code for code in REMEDIES if f"`{code}`" not in text] == []


def test_every_reason_is_explained() -> None:
    sources = [path for folder in ("toolkit", "pipelines") for path in sorted((ROOT / folder).rglob("*.py"))]
    codes = {code for path in sources for code in _REASON.findall(path.read_text())}
    text = (ROOT / "docs" / "conventions.md").read_text()
    assert len(codes) > 20
    assert [code for code in sorted(codes) if f"`{code}`" not in text] == []


def test_every_recipe_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "training.md").read_text()
    assert [name for name in RECIPES if f"`{name}`" not in text.replace("`-v2`", "`siamese-gan-v2`")] == []


def _anchors(page: Path) -> set[str]:
    """The anchors that hosts make of headings."""
    headings = (heading.replace("`", "").lower() for heading in _HEADING.findall(page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def _commands(block: Block) -> list[str]:
    if block.kind == "console":
        return [step.command for step in steps(block)]
    if block.kind != "sh":
        return []
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _check_command(command: str, where: str) -> None:
    line = words(command)
    while "=" in line[0]:  # NAME=value before the command
        del line[0]
    if line[0] in LAUNCHERS:
        line = line[line.index("frontalize") :]
    if line[0] == "frontalize":
        _parse(line[1:], where)
    else:
        assert line[0] in (*TOOLS, *SHELL), where
    if line[0] == "make":
        assert re.search(rf"^{line[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), where
    for word in line:
        if word.startswith("examples/"):
            assert (ROOT / word).exists(), where


def _parse(line: list[str], where: str) -> None:
    """Parse words by the command line's own parser, without running the command."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        if line[0].startswith("--"):
            return
        assert line[0] in command.commands, where
        command, line = command.commands[line[0]], line[1:]
    context = command.make_context("frontalize", list(line), resilient_parsing=True)
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    for word in line:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, where
    missing = [option.name for option in command.params if option.required and context.params.get(option.name) is None]
    assert missing == [], where


def _verbs() -> list[str]:
    found = []
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found += [f"{name} {sub}" for sub in getattr(command, "commands", {})] or [name]
    return found
