"""The ledger: one line per input and run, append-only, the last one counts.

A run that was killed anywhere resumes from it: lines are written with one system call
each, and a line cut short by a power loss is passed over on reading.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, get_args

from toolkit.errors import ConfigError, PhotoError, PhotoRejected

Status = Literal["written", "skipped", "rejected", "failed"]
LEDGER_NAME = "ledger.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one input. Paths are relative to SRC and OUT, with ``/``."""

    input: str
    sha256: str = ""  # of the input's bytes; empty where it could not be read
    status: Status
    reason: str = ""  # empty, or a stable code, a colon and the detail
    outputs: list[str] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)  # box, score, yaw, pitch, roll, matrix: one per output
    seconds: float = 0.0
    size: int = -1  # bytes of the input
    mtime_ns: int = -1  # its time of change: with the size, what a resume compares before it hashes
    settings: str = ""  # digest of the settings that shaped the outputs
    source: str = ""  # where SRC is, seen from OUT: the ledger writes it

    @property
    def code(self) -> str:
        """The stable part of the reason; empty where there is none."""
        return self.reason.partition(":")[0]

    def as_skipped(self) -> "Outcome":
        """The same outcome, met again by a later run that had nothing left to do."""
        return replace(self, status="skipped", seconds=0.0)


_FIELDS = tuple(field.name for field in fields(Outcome))


def refused(input_path: str, error: PhotoError, **known: Any) -> Outcome:
    """The outcome of an input that raised."""
    status: Status = "rejected" if isinstance(error, PhotoRejected) else "failed"
    return Outcome(input=input_path, status=status, reason=error.reason, **known)


class Ledger:
    """``ledger.jsonl`` of one output folder, open for one run at a time.

    Args:
        folder: the output folder; made if missing.
        source: the folder that inputs are relative to; each line says where it is, for those who look at OUT alone.

    Raises:
        ConfigError: another run is writing to this folder, or it cannot be written.
    """

    def __init__(self, folder: Path, source: Path | None = None) -> None:
        self.path = folder / LEDGER_NAME
        self._source = "" if source is None else os.path.relpath(source, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error.strerror}); choose another OUT") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise ConfigError(f"{folder}: another run is writing here; wait for it or choose another OUT") from error
        self._lines = _last_lines(self.path)
        self._end_cut_line()

    def _end_cut_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def last(self, input_path: str) -> Outcome | None:
        """What the last line about an input said, before this run."""
        line = self._lines.get(input_path)
        return None if line is None else _parse(line)

    def append(self, outcome: Outcome) -> None:
        """Add one line; on return the system has it, so a killed process cannot lose it."""
        # not asdict: it would copy every face
        row = {name: getattr(outcome, name) for name in _FIELDS} | {"source": self._source}
        os.write(self._file, json.dumps(row).encode() + b"\n")


def read_ledger(folder: Path) -> list[Outcome]:
    """The last outcome of every input of an output folder, in the order the inputs first came; empty without one."""
    return [_parse(line) for line in _last_lines(folder / LEDGER_NAME).values()]


def sorted_outcomes(folder: Path) -> Iterator[Outcome]:
    """The same sorted by the parts of the inputs' paths, one after the other: of a million only one is in memory."""
    lines = _last_lines(folder / LEDGER_NAME)
    return (_parse(lines.pop(name)) for name in sorted(lines, key=lambda name: name.split("/")))


def _parse(line: bytes) -> Outcome:
    # a newer version may have written more
    return Outcome(**{key: value for key, value in json.loads(line).items() if key in _FIELDS})


def _last_lines(path: Path) -> dict[str, bytes]:
    """Raw lines by input. Kept as bytes: a parsed row takes ten times the memory, and most are never looked at."""
    lines: dict[str, bytes] = {}
    if not path.exists():
        return lines
    with path.open("rb") as file:
        for line in file:
            try:
                row = json.loads(line)
                if row["status"] in get_args(Status):
                    lines[row["input"]] = line
            except (ValueError, KeyError, TypeError):  # cut short by a crash: that input is simply done again
                continue
    return lines
