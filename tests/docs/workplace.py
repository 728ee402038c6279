"""A folder with photos in which the code blocks of one page run, in order."""

import contextlib
import io
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data
from typer.testing import CliRunner

from pipelines.cli import app
from tests.docs.pages import ROOT, Block, Step, matches, steps, words
from tests.faces import FACES
from toolkit.photos.files import encode_image

# Appended where a page leaves them out; the last one of an option counts. Pages show runs of real length.
SHORTER: dict[str, tuple[str, ...]] = {
    "train": ("--steps", "2", "--batch-size", "4"),
    "bench": ("--photos", "2", "--rounds", "1"),
}
# The same, for a page whose counts are of other photos.
ROUGHER: dict[str, tuple[str, ...]] = {"pairs synth": ("--yaws=-30,30",)}
WORKERS = (
    *("align", "batch", "bench", "evaluate", "report", "train"),
    *("pairs build", "pairs morph", "pairs synth", "pairs verify", "pairs views"),
)
SHELL = ("ls", "head", "cat", "mkdir", "cp", "tail", "wc", "echo")  # run in the system's shell


class Workplace:
    """Runs the blocks of one page; its folder is called ``/data`` on the page.

    Args:
        folder: an empty one. It gets ``photos/``, the faces of tests/data, ``portrait.jpg``, and ``celeba/``, which has
            the form of the data set of that name.
        patch: undone after the test.
        exact_counts: whether the page's counts are of these photos.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, exact_counts: bool) -> None:
        self._folder, self._patch, self._exact = folder, patch, exact_counts
        self._names: dict[str, Any] = {"__name__": "page"}
        self._code, self._printed = 0, ""  # of the last command or Python block
        patch.chdir(folder)
        patch.setenv("LC_ALL", "C")  # the order of `ls`
        patch.syspath_prepend(folder)
        _add_photos(folder)

    def run(self, block: Block) -> None:
        """Run a block; fail the test if a command fails or prints something else than the page shows."""
        if block.kind == "console":
            for step in steps(block):
                self._run_step(step)
        elif block.kind == "python":
            self._run_python(block)
        elif block.kind == "text" and self._printed:
            assert matches(block.text.splitlines(), self._printed, self._exact), self._printed
            self._printed = ""

    def finish(self) -> None:
        """Fail the test if the last command failed."""
        assert self._code == 0, self._printed

    def _run_step(self, step: Step) -> None:
        if step.command == "echo $?":
            assert step.output == [str(self._code)]
            self._code = 0
            return
        assert self._code == 0, f"{self._printed}\nexit code {self._code} before {step.command!r}"
        self._printed = self._run_command(step.command)
        exact = self._exact and not any(verb in words(step.command) for verb in SHORTER)
        assert matches(step.output, self._printed, exact), f"{step.command}\nprints\n{self._printed}"
        self._printed = ""

    def _run_command(self, command: str) -> str:
        line = words(command)
        while "=" in line[0]:  # NAME=value before the command
            self._patch.setenv(*line.pop(0).split("=", 1))
        if line[0] == "frontalize":
            return self._run_frontalize(line[1:])
        if line[0] == "python":
            line = [sys.executable, *(str(ROOT / word) if word.startswith("examples/") else word for word in line[1:])]
            result = subprocess.run(line, cwd=self._folder, capture_output=True, text=True, check=False)
        else:
            assert line[0] in SHELL, f"{command}: neither frontalize, python nor one of {', '.join(SHELL)}"
            result = subprocess.run(command, cwd=self._folder, shell=True, capture_output=True, text=True, check=False)
        self._code = result.returncode
        return result.stdout if result.returncode == 0 else result.stdout + result.stderr

    def _run_frontalize(self, line: list[str]) -> str:
        verb = " ".join(line[: 2 if line[0] == "pairs" else 1])
        workers = ("--workers", "1") if verb in WORKERS and "--workers" not in line else ()
        less = SHORTER if self._exact else SHORTER | ROUGHER
        result = CliRunner().invoke(app, [*line, *less.get(verb, ()), *workers])
        self._code = result.exit_code
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output.replace(str(self._folder), "/data")

    def _run_python(self, block: Block) -> None:
        first = block.text.splitlines()[0].removeprefix("# ")
        if first.endswith(".py"):  # a file of the reader's
            (self._folder / first).write_text(block.text)
            return
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, f"line {block.line}", "exec"), self._names)
        self._printed = printed.getvalue()


def _add_photos(folder: Path) -> None:
    portrait = np.asarray(data.astronaut(), np.uint8)
    (folder / "portrait.jpg").write_bytes(encode_image(portrait, ".jpg"))
    for name in ("photos", "celeba"):
        (folder / name).mkdir()
    lines = []
    for number, path in enumerate(sorted(FACES.glob("*.jpg")), start=1):
        shutil.copy(path, folder / "photos")
        shutil.copy(path, folder / "celeba" / f"{number:06d}.jpg")
        lines.append(f"{number:06d}.jpg {1 if number % 2 else -1} {1 if number % 3 else -1}")
    table = "\n".join([str(len(lines)), "Smiling Male", *lines, ""])
    (folder / "celeba" / "list_attr_celeba.txt").write_text(table)
