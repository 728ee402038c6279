"""The place where one command is disturbed, and what is checked there."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from examples.endurance.commands import LOG, Whole, words_of
from examples.endurance.runs import ERROR, SECONDS, Command, differences, finish, look, progress
from toolkit.errors import PhotoError
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.files import PHOTO_SUFFIXES

PLACE = "disturbed"  # folder of the OUT
CODES = (0, 1, 2)  # of a command that was told what is wrong


class Stage:
    """One command with its OUT.

    Args:
        verb: the command.
        folder: of the inputs and the log.
        whole: the run that nobody disturbed.

    Attributes:
        out: the command's OUT.
        met: how many of the disturbed runs noticed: their exit code or their files were not those of the whole one.
    """

    def __init__(self, verb: str, folder: Path, whole: Whole) -> None:
        self.verb, self.folder, self.whole = verb, folder, whole
        self.out = folder / PLACE / verb
        self.words, self.log = words_of(verb, folder, PLACE), folder / LOG
        self.met = 0
        self._said = self.log.stat().st_size

    @property
    def source(self) -> Path:
        """The command's SRC."""
        return next(Path(str(word)) for word in self.words if isinstance(word, Path))

    def start(self, **options: Any) -> Command:
        """Start the command."""
        return Command(self.words, self.log, **options)

    def wait_for(self, process: Command, share: float) -> None:
        """Wait until a share of the command's work is done, or it has ended."""
        while process.poll() is None and progress(self.out) < share * self.whole.progress:
            time.sleep(0.002)

    def disturbed(self, process: Command) -> list[str]:
        """Wait for a run for which something is wrong, and return its defects."""
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return [f"hangs for {SECONDS} s"]
        noticed = code != self.whole.code or bool(differences(look(self.out), self.whole.left))
        self.met += noticed
        said = [] if code in CODES else [f"ended with {code} while something was wrong"]
        if count := process.wait_for_all():
            said.append(f"{count} processes are left")
        return said + half_written(self.out)

    def healed(self) -> list[str]:
        """Run the command again, now that nothing is wrong, and return what differs from the whole run."""
        code, _ = finish(self.words, self.log)
        said = [] if code == self.whole.code else [f"ended with {code} in the end, {self.whole.code} is right"]
        return said + [f"in the end: {one}" for one in differences(look(self.out), self.whole.left)]

    def tracebacks(self) -> list[str]:
        """Return the last lines of tracebacks since the last call."""
        text = self.log.read_bytes()[self._said :].decode(errors="replace")
        self._said = self.log.stat().st_size
        return [line[:160] for line in ERROR.findall(text)]

    def clear(self) -> None:
        """Remove the OUT."""
        shutil.rmtree(self.out, ignore_errors=True)


def half_written(out: Path) -> list[str]:
    """Return the files of a folder that are not whole, and temporary ones."""
    said = []
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        if path.name.endswith(".part"):
            said.append(f"left over: {path.name}")
        elif path.suffix in PHOTO_SUFFIXES:
            try:
                Photo(read_bytes(path)).pixels()
            except PhotoError as error:
                said.append(f"half-written: {path.name} ({error.code})")
        elif path.suffix == ".json":
            try:
                json.loads(path.read_text())
            except ValueError:
                said.append(f"half-written: {path.name}")
    return said
