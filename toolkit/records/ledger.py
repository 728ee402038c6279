"""The ledger: one line per input and run, append-only, the last one counts.

A run that was killed anywhere resumes from it: lines are written with one system call
each, and a line cut short by a power loss is passed over on reading. So is one that no run of ours
writes: paths in a ledger are files that a later run may read or remove, and none may lead out of its folder.
"""

import fcntl
import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, get_args

from toolkit.errors import ConfigError, PhotoError, PhotoRejected

Status = Literal["written", "skipped", "rejected", "failed"]
LEDGER_NAME = "ledger.jsonl"

# Bytes that are locked, far behind the last one that a ledger will ever have: no lock file stays behind, and the
# system lets go of a dead process's locks. A run holds its share of the second stretch while it lasts.
_APPENDING, _RUNNING, _STRETCH = 1 << 50, (1 << 50) + 1, 1 << 32
MOST_LINE = 16 << 20  # bytes: a row of ten thousand faces; a longer line is none of ours
_NUMBERS = ("yaw", "pitch", "roll", "score", "sharpness", "eyes_open", "mouth_open", "upscaled")  # of a face
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process (none)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one input. Paths are relative to SRC and OUT, with ``/``."""

    input: str
    sha256: str = ""  # of the input's bytes; empty where it could not be read
    status: Status
    reason: str = ""  # empty, or a stable code, a colon and the detail
    outputs: list[str] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)  # box, score, yaw ...: one per output, or pasted into it
    seconds: float = 0.0
    size: int = -1  # bytes of the input
    mtime_ns: int = -1  # its time of change: with the size, what a resume compares before it hashes
    settings: str = ""  # digest of the settings that shaped the outputs
    source: str = ""  # where SRC is, seen from OUT: the ledger writes it
    laps: dict[tuple[str, str], float] = field(default_factory=dict, compare=False)  # seconds; in no ledger

    @property
    def code(self) -> str:
        """The stable part of the reason; empty where there is none."""
        return self.reason.partition(":")[0]

    def as_skipped(self) -> "Outcome":
        """The same outcome, met again by a later run that had nothing left to do."""
        return replace(self, status="skipped", seconds=0.0)


_FIELDS = tuple(field.name for field in fields(Outcome) if field.name != "laps")
_BAD_LINES = (ValueError, KeyError, TypeError, RecursionError)
_STATUS, _SECONDS = re.compile(rb'"status": "\w+"'), re.compile(rb'"seconds": [^,}]+')
_HEAD = re.compile(  # of a line as it is written here
    rb'\{"input": ("(?:[^"\\]++|\\.)*+"), "sha256": "\w*", "status": "(?:%s)", ' % "|".join(get_args(Status)).encode()
)


def refused(input_path: str, error: PhotoError, **known: Any) -> Outcome:
    """The outcome of an input that raised."""
    status: Status = "rejected" if isinstance(error, PhotoRejected) else "failed"
    return Outcome(input=input_path, status=status, reason=error.reason, **known)


class Ledger:
    """``ledger.jsonl`` of one output folder, open for one run at a time, or for one run of each shard.

    Args:
        folder: the output folder; made if missing.
        source: the folder that inputs are relative to; each line says where it is, for those who look at OUT alone.
        shard: (i, n), the run does the i-th of n parts; runs whose parts overlap cannot be open together.

    Raises:
        ConfigError: another run is writing to this folder, or it cannot be written.
    """

    def __init__(self, folder: Path, source: Path | None = None, shard: tuple[int, int] = (0, 1)) -> None:
        self.path = folder / LEDGER_NAME
        self._source = "" if source is None else os.path.relpath(source, folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error.strerror}); choose another OUT") from error
        first, end = (_STRETCH * edge // shard[1] for edge in (shard[0], shard[0] + 1))
        try:
            _lock(self._file, fcntl.F_WRLCK, _RUNNING + first, end - first)
        except BlockingIOError as error:
            os.close(self._file)
            raise ConfigError(f"{folder}: another run is writing here; wait for it or choose another OUT") from error
        except OSError as error:
            os.close(self._file)
            raise ConfigError(f"{self.path}: its disk knows no locks ({error.strerror}); choose another OUT") from error
        with self._alone():
            self._end_cut_line()
        self._reader = self.path.open("rb")
        self._lines = _last_lines(self._reader, quick=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other shard writes meanwhile: on network disks two of them could write to one place."""
        _lock(self._file, fcntl.F_WRLCK, _APPENDING, 1, wait=True)
        try:
            yield
        finally:
            _lock(self._file, fcntl.F_UNLCK, _APPENDING, 1)

    def _end_cut_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close()
        os.close(self._file)

    def last(self, input_path: str) -> Outcome | None:
        """What the last line about an input said, before this run."""
        start = self._lines.get(input_path)
        outcome = None if start is None else _read_line(self._reader, start)
        if start is None or outcome is not None:
            return outcome
        self._lines = _last_lines(self._reader)  # a line that only looked good: an earlier one may be
        start = self._lines.get(input_path)
        return None if start is None else _read_line(self._reader, start)

    def skip(self, input_path: str) -> None:
        """Add the line of an input that an earlier run finished, and of this one: the same again, but ``skipped``."""
        self._reader.seek(self._lines[input_path])
        line = _STATUS.sub(b'"status": "skipped"', self._reader.readline(MOST_LINE), 1)
        self._write(_SECONDS.sub(b'"seconds": 0.0', line, 1))

    def append(self, outcome: Outcome) -> None:
        """Add one line; on return the system has it, so a killed process cannot lose it.

        Raises:
            ConfigError: it cannot be written any more: the disk is full, say.
        """
        # not asdict: it would copy every face
        row = {name: getattr(outcome, name) for name in _FIELDS} | {"source": self._source}
        self._write(json.dumps(row).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            with self._alone():
                while line:  # a disk that fills up takes the first part
                    line = line[os.write(self._file, line) :]
        except OSError as error:
            raise ConfigError(
                f"{self.path}: cannot be written any more ({error.strerror}); mend that and run the same command "
                "again: what is in the ledger is not done twice"
            ) from error


def read_ledger(folder: Path) -> list[Outcome]:
    """The last outcome of every input of an output folder, in the order the inputs first came; empty without one."""
    return list(_outcomes(folder / LEDGER_NAME, list))


def sorted_outcomes(folder: Path) -> Iterator[Outcome]:
    """The same sorted by the parts of the inputs' paths, one after the other: of a million only one is in memory."""
    return _outcomes(folder / LEDGER_NAME, lambda names: sorted(names, key=lambda name: name.split("/")))


def _outcomes(path: Path, order: Callable[[Iterable[str]], list[str]]) -> Iterator[Outcome]:
    if path.exists():
        with path.open("rb") as file:
            starts = _last_lines(file)
            for name in order(starts):
                if (outcome := _read_line(file, starts[name])) is not None:
                    yield outcome


def _last_lines(file: BinaryIO, quick: bool = False) -> dict[str, int]:
    """Where the last good line about each input begins: a parsed million would take gigabytes.

    ``quick``: lines that begin and end well count as good, in a fifth of the time.
    """
    starts: dict[str, int] = {}
    start = file.seek(0)
    while line := file.readline(MOST_LINE):
        if (name := _input_of(line, quick)) is not None:
            starts[name] = start
        start += len(line)
    return starts


def _input_of(line: bytes, quick: bool) -> str | None:
    """The input that a line is about; None where a crash cut it short: that input is simply done again."""
    try:
        if quick and (head := _HEAD.match(line)) and line.endswith(b'"}\n'):
            return str(json.loads(head[1])) if b"\\" in head[1] else head[1][1:-1].decode()
        row = json.loads(line)
        return str(row["input"]) if _is_ours(row) else None
    except _BAD_LINES:
        return None


def _is_ours(row: Any) -> bool:
    """Every field of the kind that an :class:`Outcome` has, as far as anything is done with it."""
    if not isinstance(row, dict):
        return False
    texts = [row.get(name, "") for name in ("sha256", "reason", "settings", "source")]
    faces = row.get("faces", [])
    return (
        row["status"] in get_args(Status)
        and all(isinstance(text, str) for text in texts)
        and isinstance(row.get("outputs", []), list)
        and all(map(_stays_inside, [row["input"], *row.get("outputs", [])]))
        and isinstance(faces, list)
        and all(isinstance(face, dict) and all(map(_is_number, map(face.get, _NUMBERS))) for face in faces)
    )


def _stays_inside(path: str) -> bool:
    """A path that no folder of a mirrored tree is left by, and that the system has a name for."""
    os.fsencode(path)  # a TypeError or a ValueError, if it is no path
    return bool(path) and not path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))


def _read_line(file: BinaryIO, start: int) -> Outcome | None:
    file.seek(start)
    try:
        row = json.loads(file.readline(MOST_LINE))
        if not _is_ours(row):
            return None
    except _BAD_LINES:
        return None
    return Outcome(**{key: value for key, value in row.items() if key in _FIELDS})  # a newer version may write more


def _lock(file: int, kind: int, start: int, length: int, wait: bool = False) -> None:
    """Lock or unlock bytes of an open file; the open file owns the lock, not the process: see fcntl(2), OFD locks."""
    fcntl.fcntl(file, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, 0, start, length, 0))
