"""The ledger of an output folder: an append-only file with one line per input and run, of which the last is valid.

A run that was killed at any point resumes from it: each line is written with one system call, and a line truncated by
a power loss is ignored on reading. So is a line that no run can have written: a later run may read or remove the files
that a ledger names, so no path in it may lead out of the folder.
"""

import fcntl
import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, get_args

from toolkit.errors import ConfigError, PhotoError, PhotoRejected

Status = Literal["written", "skipped", "rejected", "failed"]
LEDGER_NAME = "ledger.jsonl"

# Locks are on bytes far beyond the end of the file: they leave no lock file behind, and the system releases those of a
# dead process. Each append locks the first byte; a run locks its shard's share of the range that follows.
_APPEND_LOCK, _RUN_LOCK, _RUN_LOCK_LENGTH = 1 << 50, (1 << 50) + 1, 1 << 32
MAX_LINE = 16 << 20  # bytes: a row of ten thousand faces; longer lines are ignored
# Of a face.
_NUMBERS = ("yaw", "pitch", "roll", "score", "confidence", "sharpness", "eyes_open", "mouth_open", "upscaled")
_FLOCK = "hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process (none)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The result for one input. Paths are relative to SRC and OUT, with ``/``."""

    input: str
    sha256: str = ""  # of the input's bytes; empty if it could not be read
    status: Status
    reason: str = ""  # empty, or a stable code, a colon and the detail
    outputs: list[str] = field(default_factory=list)
    faces: list[dict[str, Any]] = field(default_factory=list)  # box, score, yaw ...; one per output or pasted face
    seconds: float = 0.0
    size: int = -1  # bytes of the input
    mtime_ns: int = -1  # modification time: compared with the size when a run resumes, before the hash
    settings: str = ""  # digest of the settings that determine the outputs
    source: str = ""  # path of SRC relative to OUT, set by the ledger
    # By place and stage; not stored in the ledger.
    stage_seconds: dict[tuple[str, str], float] = field(default_factory=dict, compare=False)

    @property
    def code(self) -> str:
        """The stable part of the reason; empty without one."""
        return self.reason.partition(":")[0]

    def as_skipped(self) -> "Outcome":
        """Return the outcome of a later run that finds this one finished."""
        return replace(self, status="skipped", seconds=0.0)


_FIELDS = tuple(field.name for field in fields(Outcome) if field.name != "stage_seconds")
_BAD_LINES = (ValueError, KeyError, TypeError, RecursionError)
_STATUS, _SECONDS = re.compile(rb'"status": "\w+"'), re.compile(rb'"seconds": [^,}]+')
_HEAD = re.compile(  # the beginning of a line as this module writes it
    rb'\{"input": ("(?:[^"\\]++|\\.)*+"), "sha256": "\w*", "status": "(?:%s)", ' % "|".join(get_args(Status)).encode()
)


def error_outcome(input_path: str, error: PhotoError, **known: Any) -> Outcome:
    """Return the outcome of an input whose processing raised an error; ``known`` are further fields."""
    status: Status = "rejected" if isinstance(error, PhotoRejected) else "failed"
    return Outcome(input=input_path, status=status, reason=error.reason, **known)


class Ledger:
    """The ledger of one output folder, open for one run at a time, or for one run of each shard.

    An error before the first line, as of a wrong set-up, removes the ledger, and the folders that were created for it.

    Args:
        folder: the output folder; created if missing.
        source: the folder that inputs are relative to; its path relative to the output folder is stored in each line.
        shard: (i, n), the run processes the i-th of n parts; runs whose parts overlap cannot be open together.

    Raises:
        ConfigError: another run is writing to this folder, or it cannot be written.
    """

    def __init__(self, folder: Path, source: Path | None = None, shard: tuple[int, int] = (0, 1)) -> None:
        self.path = folder / LEDGER_NAME
        self._source = "" if source is None else os.path.relpath(source, folder)
        try:
            self._new_folders = [one for one in (folder, *folder.parents) if not one.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error.strerror}); choose another OUT") from error
        first, end = (_RUN_LOCK_LENGTH * edge // shard[1] for edge in (shard[0], shard[0] + 1))
        try:
            _lock(self._file, fcntl.F_WRLCK, _RUN_LOCK + first, end - first)
            if not os.path.samestat(os.fstat(self._file), self.path.stat()):  # removed by a run that ended in between
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError) as error:
            os.close(self._file)
            raise ConfigError(f"{folder}: another run is writing here; wait for it or choose another OUT") from error
        except OSError as error:
            os.close(self._file)
            raise ConfigError(f"{self.path}: its disk has no locks ({error.strerror}); choose another OUT") from error
        with self._append_lock():
            self._end_truncated_line()
        self._reader = self.path.open("rb")
        self._lines = _last_lines(self._reader, quick=True)

    @contextmanager
    def _append_lock(self) -> Iterator[None]:
        """Exclude other shards: on network file systems two appends could overwrite each other."""
        _lock(self._file, fcntl.F_WRLCK, _APPEND_LOCK, 1, wait=True)
        try:
            yield
        finally:
            _lock(self._file, fcntl.F_UNLCK, _APPEND_LOCK, 1)

    def _end_truncated_line(self) -> None:
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._remove_empty()
        self._reader.close()
        os.close(self._file)

    def _remove_empty(self) -> None:
        with suppress(OSError):  # another shard is open, or there are other files in a folder
            _lock(self._file, fcntl.F_WRLCK, _RUN_LOCK, _RUN_LOCK_LENGTH)
            if os.fstat(self._file).st_size == 0:
                self.path.unlink()
                for folder in self._new_folders:
                    folder.rmdir()

    def last(self, input_path: str) -> Outcome | None:
        """Return the last outcome of an input before this run; None without one."""
        start = self._lines.get(input_path)
        outcome = None if start is None else _read_line(self._reader, start)
        if start is None or outcome is not None:
            return outcome
        self._lines = _last_lines(self._reader)  # the quick check accepted an invalid line: an earlier one may be valid
        start = self._lines.get(input_path)
        return None if start is None else _read_line(self._reader, start)

    def skip(self, input_path: str) -> None:
        """Append the last line of an input again, with the status ``skipped``."""
        self._reader.seek(self._lines[input_path])
        line = _STATUS.sub(b'"status": "skipped"', self._reader.readline(MAX_LINE), 1)
        self._write(_SECONDS.sub(b'"seconds": 0.0', line, 1))

    def append(self, outcome: Outcome) -> None:
        """Append one line; on return the system has it, so it survives a kill of the process.

        Raises:
            ConfigError: it cannot be written, as on a full disk.
        """
        # Not asdict, which copies every face.
        row = {name: getattr(outcome, name) for name in _FIELDS} | {"source": self._source}
        self._write(json.dumps(row).encode() + b"\n")

    def _write(self, line: bytes) -> None:
        try:
            with self._append_lock():
                while line:  # a disk that fills up accepts only a part
                    line = line[os.write(self._file, line) :]
        except OSError as error:
            raise ConfigError(
                f"{self.path}: cannot be written ({error.strerror}); repair that and run the same command again: "
                "it resumes from the ledger"
            ) from error


def read_ledger(folder: Path) -> list[Outcome]:
    """Return the last outcome of every input, in the order of their first lines; empty if there is no ledger."""
    return list(_outcomes(folder / LEDGER_NAME, list))


def sorted_outcomes(folder: Path) -> Iterator[Outcome]:
    """Yield the last outcome of every input, sorted by the parts of the inputs' paths, one in memory at a time."""
    return _outcomes(folder / LEDGER_NAME, lambda names: sorted(names, key=lambda name: name.split("/")))


def _outcomes(path: Path, order: Callable[[Iterable[str]], list[str]]) -> Iterator[Outcome]:
    if path.exists():
        with path.open("rb") as file:
            starts = _last_lines(file)
            for name in order(starts):
                if (outcome := _read_line(file, starts[name])) is not None:
                    yield outcome


def _last_lines(file: BinaryIO, quick: bool = False) -> dict[str, int]:
    """Find the offset of the last valid line of each input: a million parsed lines would take gigabytes.

    Args:
        file: the ledger.
        quick: check only the beginning and the end of each line, in a fifth of the time.
    """
    starts: dict[str, int] = {}
    start = file.seek(0)
    while line := file.readline(MAX_LINE):
        if (name := _input_of(line, quick)) is not None:
            starts[name] = start
        start += len(line)
    return starts


def _input_of(line: bytes, quick: bool) -> str | None:
    """Return the input of a line; None for an invalid line, whose input is then processed again."""
    try:
        if quick and (head := _HEAD.match(line)) and line.endswith(b'"}\n'):
            return str(json.loads(head[1])) if b"\\" in head[1] else head[1][1:-1].decode()
        row = json.loads(line)
        return str(row["input"]) if _is_valid_row(row) else None
    except _BAD_LINES:
        return None


def _is_valid_row(row: Any) -> bool:
    """Return whether all fields that are used have the type that an :class:`Outcome` has."""
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
    """Return whether a relative path is valid and does not lead out of its folder."""
    os.fsencode(path)  # raises TypeError or ValueError if it is no path
    return bool(path) and not path.startswith("/") and "\0" not in path and ".." not in path.split("/")


def _is_number(value: Any) -> bool:
    return value is None or (type(value) in (int, float) and math.isfinite(value))


def _read_line(file: BinaryIO, start: int) -> Outcome | None:
    file.seek(start)
    try:
        row = json.loads(file.readline(MAX_LINE))
        if not _is_valid_row(row):
            return None
    except _BAD_LINES:
        return None
    return Outcome(**{key: row[key] for key in _FIELDS if key in row})  # a newer version may write more fields


def _lock(file: int, kind: int, start: int, length: int, wait: bool = False) -> None:
    """Lock or unlock bytes for an open file description, not for the process: see fcntl(2), OFD locks."""
    fcntl.fcntl(file, fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, 0, start, length, 0))
