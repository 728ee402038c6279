"""What the scripts of this folder share: photos to work on, commands as processes, and what a run has left behind."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_atomic
from toolkit.records.ledger import LEDGER_NAME, Outcome, read_ledger

ROOT = Path(__file__).parents[2]
FACES = ROOT / "tests" / "data"  # twelve faces of the London Set
FRONTALIZE = [sys.executable, "-c", "from pipelines.cli import main; main()"]
SECONDS = 600  # until a command counts as hung
PATIENCE = 20.0  # seconds in which the processes of a dead command must have ended
VOLATILE = ("seconds", "mtime_ns")  # fields of a row that differ from run to run
# The last line of a traceback; those in the boxes of rich, which typer prints, end with the same line.
ERROR = re.compile(r"^[\w.]*(?:Error|Exception)\b.*", re.MULTILINE)
EVENTS = "events.out.tfevents"  # TensorBoard's files: one for each start of a training


def make_photos(root: Path, copies: int, naming: Callable[[str, int], str]) -> Path:
    """Write the faces of tests/data, each several times and each time other pixels, one damaged and one empty photo.

    Args:
        root: the folder.
        copies: of each face.
        naming: from the stem in tests/data, as ``003_frontal``, and the number of the copy, to a path.
    """
    for path in sorted(FACES.glob("*.jpg")):
        face = read_photo(path)
        for number in range(copies):
            side = len(face) - 4 * number
            data = encode_image(np.ascontiguousarray(face[:side, :side]), ".jpg", 92)
            write_atomic(root / naming(path.stem, number), data)
    first = encode_image(read_photo(FACES / "003_frontal.jpg"), ".jpg")
    write_atomic(root / "damaged" / "cut.jpg", first[: len(first) // 3])
    write_atomic(root / "damaged" / "gray.png", encode_image(np.full((80, 80, 3), 127, np.uint8), ".png"))
    return root


class Command(subprocess.Popen[bytes]):
    """Frontalize in a process group of its own, on one thread per process.

    Args:
        words: the command.
        log: what it prints is appended to this file, by a thread: limits of the process are not those of the log.
        path: a folder of modules that come first.
        limit: called in the process before the command.
    """

    def __init__(
        self, words: Sequence[object], log: Path, path: Path | None = None, limit: Callable[[], None] | None = None
    ) -> None:
        place = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{path}:{ROOT}" if path else str(ROOT)}
        super().__init__(
            [*FRONTALIZE, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=place,
            preexec_fn=limit,
        )
        self._copying = threading.Thread(target=self._copy, args=(log,), daemon=True)
        self._copying.start()

    def _copy(self, log: Path) -> None:
        with log.open("ab") as file:
            for line in self.stdout or ():
                file.write(line)

    def wait_for_all(self) -> int:
        """Wait until no process of its group is left; return how many are after a while, which then are killed."""
        if count := _processes_left(self.pid):
            os.killpg(self.pid, signal.SIGKILL)
        self._copying.join(PATIENCE)
        return count


def finish(words: Sequence[object], log: Path) -> tuple[int, float]:
    """Run frontalize to its end; return exit code and seconds."""
    began = time.monotonic()
    command = Command(words, log)
    try:
        code = command.wait(SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(command.pid, signal.SIGKILL)
        code = command.wait()
    seconds = time.monotonic() - began
    command.wait_for_all()
    return code, seconds


def _processes_left(group: int) -> int:
    """Count the processes of a group that are still there after a while."""
    deadline = time.monotonic() + PATIENCE
    while (left := living(group)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left


def living(group: int) -> int:
    """Count the processes of a process group that have not ended."""
    count = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = place.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has just ended
            continue
        count += int(its_group) == group and state != "Z"
    return count


def progress(out: Path) -> int:
    """Count the lines of ledgers and metrics in a folder, and its files: what grows while a command works."""
    count = 0
    for folder, _, names in os.walk(out):
        count += len(names)
        for name in {LEDGER_NAME, "metrics.jsonl"}.intersection(names):
            with Path(folder, name).open("rb") as file:
                count += sum(1 for _ in file)
    return count


@dataclass(frozen=True, slots=True)
class Left:
    """What a run has left in its folder."""

    rows: dict[str, dict[str, Any]]  # ledger's folder and input -> the last row, without what differs from run to run
    files: dict[str, str]  # path -> hash; ledgers and TensorBoard's events are left out
    steps: dict[int, dict[str, float]]  # of metrics.jsonl, for trainings


def look(out: Path) -> Left:
    """Read a run's folder."""
    rows, files, steps = dict[str, dict[str, Any]](), dict[str, str](), dict[int, dict[str, float]]()
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if path.name == LEDGER_NAME:
            rows |= {f"{path.parent.relative_to(out)}: {row.input}": plain(row) for row in read_ledger(path.parent)}
        elif path.name == "metrics.jsonl":
            steps = {row.pop("step"): row for row in map(json.loads, path.read_text().splitlines())}
        elif not path.name.startswith(EVENTS):
            files[name] = _hash(path)
    return Left(rows, files, steps)


def _hash(path: Path) -> str:
    """Return the hash of a file; of a checkpoint that of its tensors, because torch adds a random number."""
    digest = hashlib.sha256()
    if path.suffix == ".ckpt":
        with zipfile.ZipFile(path) as archive:
            for name in sorted(name for name in archive.namelist() if "/data/" in name):
                digest.update(name.encode() + archive.read(name))
    else:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def plain(row: Outcome) -> dict[str, Any]:
    """Return a row without what differs from run to run; ``skipped`` becomes what the run said that finished it."""
    values = {name: getattr(row, name) for name in row.__dataclass_fields__ if name not in (*VOLATILE, "stage_seconds")}
    if row.status == "skipped":
        values["status"] = "written" if row.outputs else "rejected"
    return values


def differences(found: Left, wanted: Left) -> list[str]:
    """Say what is lost, double or different; a training that stopped has a sample and metrics of that step, too."""
    said = [f"no row of {name}" for name in sorted(wanted.rows.keys() - found.rows.keys())]
    said += [f"a row too many: {name}" for name in sorted(found.rows.keys() - wanted.rows.keys())]
    said += [f"another row of {name}" for name, row in wanted.rows.items() if found.rows.get(name, row) != row]
    said += [f"no {name}" for name in sorted(wanted.files.keys() - found.files.keys())]
    said += [f"{name} differs" for name, data in wanted.files.items() if found.files.get(name, data) != data]
    said += [f"left over: {name}" for name in sorted(found.files.keys() - wanted.files.keys()) if not _is_sample(name)]
    said += [f"step {step} differs" for step, row in wanted.steps.items() if found.steps.get(step) != row]
    return said


def _is_sample(name: str) -> bool:
    return name.startswith("samples/") and not name.endswith(".part")
