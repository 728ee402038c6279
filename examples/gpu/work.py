"""What all steps share: sizes, folders, photos, and how commands are called."""

import contextlib
import importlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from examples.gpu.claims import OutOfTime, StepFailed
from examples.gpu.machine import ROOT
from pipelines.runtime.config import all_cores
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, list_photos, write_atomic

FACES = ROOT / "tests" / "data"  # twelve faces of the London Set, in eight people's names
QUALITY = 95  # of the JPEGs that are made of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How much is done, and the bounds of figures that mean something on a GPU only."""

    few: int = 40  # photos on which CPU and GPU are compared
    many: int = 400  # photos of which the throughput is measured
    train_seconds: float = 30.0  # of each recipe with each loader
    warm_up: int = 20  # training steps that are not counted
    batch_size: int | None = None  # of trainings; None: the recipe's
    workers: int = field(default_factory=all_cores)  # of the commands that take photos, and of the loaders
    views: int = 4  # of each photo, in the set of the trainings
    tests: str = "tests"  # the tests that are searched for the marker gpu
    recipes: tuple[str, ...] = ("scaleway", "refiner")
    exports: tuple[str, ...] = ("refiner", "scaleway")
    most_waiting: float = 0.1  # share of a training's time in which the device waits for data
    least_ratio: float = 1.0  # of GPU to CPU, in photos/s
    least_loader_ratio: float = 0.95  # of DALI to torch's loader, in images/s


DRY = Sizes(
    few=3,
    many=3,
    train_seconds=0.0,
    warm_up=1,
    batch_size=2,
    workers=1,
    views=1,
    recipes=("scaleway",),
    exports=("scaleway",),
    tests="tests/models/test_rasterizer.py",
    most_waiting=1.0,
    least_ratio=0.0,
    least_loader_ratio=0.0,
)


@dataclass(frozen=True, slots=True)
class Work:
    """Where and how the steps run.

    Attributes:
        out: the report's folder.
        device: ``cuda:0``, or ``cpu`` in the dry form.
        sizes: how much.
        deadline: of time.monotonic(); commands are ended then.
        in_process: whether commands run in this process, which is quicker, or each in one of its own, which a crash of
            a driver does not leave.
    """

    out: Path
    device: str
    sizes: Sizes
    deadline: float
    in_process: bool

    @property
    def few(self) -> Path:
        """The folder of the photos to compare on."""
        return self.out / "photos" / "few"

    @property
    def many(self) -> Path:
        """The folder of the photos of the throughput."""
        return self.out / "photos" / "many"

    @property
    def training_set(self) -> Path:
        """The paired set of the trainings."""
        return self.out / "set"

    def place(self, device: str) -> tuple[object, ...]:
        """Return the options that say where a command works."""
        return "--device", device, "--workers", self.sizes.workers

    def folder(self, name: str, device: str) -> Path:
        """Return the folder of a step's results on a device."""
        return self.out / name / device.replace(":", "-")

    def frontalize(self, *words: object) -> dict[str, Any]:
        """Run a command that takes ``--json``; return what it prints. Photos without a face are no error."""
        document: dict[str, Any] = json.loads(self.call("pipelines.cli:main", *words, "--json"))
        return document

    def call(self, function: str, *words: object, codes: tuple[int, ...] = (0,)) -> str:
        """Call a module's function that reads the command line; return what it prints on stdout.

        Args:
            function: ``module:name``.
            words: of the command line.
            codes: exit codes that are no failure.

        Raises:
            OutOfTime: it was ended at the deadline.
            StepFailed: it ended with another code; the text is the last line of what it said.
        """
        texts = [str(word) for word in words]
        code, printed, said = (_call_here if self.in_process else self._call_alone)(function, texts)
        if code not in codes:
            last = ([line for line in said.splitlines() if line.strip()] or ["it said nothing"])[-1]
            raise StepFailed(f"`{' '.join([function, *texts])}` ended with {code}: {last}")
        return printed

    def _call_alone(self, function: str, words: list[str]) -> tuple[int, str, str]:
        module, _, name = function.partition(":")
        command = [sys.executable, "-c", f"from {module} import {name}; {name}()", *words]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            try:
                printed, said = process.communicate(timeout=max(self.deadline - time.monotonic(), 0))
            except BaseException as error:  # at the deadline, and at Ctrl-C
                os.killpg(process.pid, signal.SIGKILL)  # with its workers
                if isinstance(error, subprocess.TimeoutExpired):
                    raise OutOfTime(f"{function} was ended") from error
                raise
        return process.returncode, printed, said


def _call_here(function: str, words: list[str]) -> tuple[int, str, str]:
    module, _, name = function.partition(":")
    printed, said, code = io.StringIO(), io.StringIO(), 0
    called = getattr(importlib.import_module(module), name)
    outputs = contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said)
    with patch.object(sys, "argv", [name, *words]), outputs[0], outputs[1]:
        try:
            code = int(called() or 0)
        except SystemExit as error:
            code = int(error.code or 0)
    return code, printed.getvalue(), said.getvalue()


def make_photos(work: Work, source: Path | None) -> None:
    """Write the photos of both folders, where they are not there yet: four of each person, as their names say.

    Args:
        work: where.
        source: a folder of photos; None: variants of the faces in tests/data.
    """
    names = [source / name for name in list_photos(source)[0]] if source else sorted(FACES.glob("*.jpg"))
    if not names:
        raise StepFailed(f"--photos {source}: holds no photos")
    count = len(names) if source else work.sizes.many
    for folder, most in ((work.few, work.sizes.few), (work.many, work.sizes.many)):
        for number in range(min(count, most)):
            path = names[number % len(names)]
            subject = f"{number // 4:04d}" if source else path.name[:3]
            target = folder / f"{subject}_{number:04d}{path.suffix if source else '.jpg'}"
            if not target.exists():
                write_atomic(target, path.read_bytes() if source else _variant(path, number))


def _variant(path: Path, number: int) -> bytes:
    """A face of tests/data with other pixels for each number: cut at the edges, mirrored, brighter or darker."""
    photo = read_photo(path)
    edge = number % 11
    photo = photo[edge : len(photo) - number % 7, edge : len(photo) - number % 5]
    photo = photo[:, :: -1 if number % 2 else 1]
    levels = (photo * (0.8 + 0.04 * (number % 10))).clip(0, 255).astype(np.uint8)
    return encode_image(np.ascontiguousarray(levels), ".jpg", QUALITY)
