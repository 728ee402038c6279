"""Feed mutated inputs to a reader in a process of its own, and count what it does.

The process may take a gigabyte, and write, remove and rename nothing outside its folder; an audit hook of Python tells.
If an input kills or hangs it, the next process goes on with the input after that.
"""

import json
import mmap
import os
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from examples.fuzz_readers import MEMORY, mutate
from toolkit.errors import FrontalizeError, PhotoError

LIMIT, WALL = 20, 200  # seconds of the processor, and of the clock, for one input
LOOKS = 200  # inputs between two checks that nothing lies beside the folder
SHARED = 8 << 20  # bytes
FAULT = "fault"
Target = Callable[[bytes], str]  # reads one input; says in a word what it read
CELL = re.compile(rb"""[^\s,:;=/{}\[\]"']+""")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit events -> the arguments that are paths, and those that are open folders to which these are relative.
PATHS = {
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, None),),
    "os.chown": ((0, None),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.utime": ((0, 3),),
}
FORBIDDEN = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "socket.bind")


class EscapedError(BaseException):
    """A reader touched something outside its folder; no handler of the program's catches it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader, and what it is fed.

    Attributes:
        name: for the table.
        share: of all inputs, relative to the shares of the others.
        prepare: called once in the process, with its folder; returns the target and the inputs to mutate, or the
            reason why they are not here.
        words: put into inputs now and then.
        text: in every second input one to three cells, numbers or names become others, and the rest stays.
    """

    name: str
    share: int
    prepare: Callable[[Path], tuple[Target, Sequence[bytes]] | str]
    words: Sequence[bytes]
    text: bool = False


@dataclass(slots=True)
class Result:
    """What a reader did with its inputs."""

    runs: int = 0
    seconds: float = 0.0  # of the processor
    slowest: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)  # words of the target, codes and classes of errors
    faults: list[str] = field(default_factory=list)  # crashes, hangs, escapes: the input's number and what it did
    missing: str = ""  # why it was not fed


def feed(reader: Reader, runs: int, seed: int, keep: Path) -> Result:
    """Feed so many inputs; those that should not do what they did are kept in a folder."""
    result, began = Result(), _children_seconds()
    shared = mmap.mmap(-1, SHARED)  # the input in progress, its number and length before it
    first = 0
    while first < runs:
        status = _run_process(reader, range(first, runs), seed, shared, result, keep)
        if status == 0:
            break
        at, length = (int.from_bytes(shared[place : place + 8], "little") for place in (0, 8))
        what = "hangs" if -status in (signal.SIGALRM, signal.SIGPROF) else f"ends the process with {status}"
        _note(result, keep, reader.name, at, what, shared[16 : 16 + length])
        result.runs, first = at + 1, at + 1
    result.seconds = _children_seconds() - began
    return result


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _note(result: Result, keep: Path, name: str, at: int, what: str, data: bytes) -> None:
    result.faults.append(f"{name} {at}: {what}")
    keep.mkdir(exist_ok=True)
    (keep / f"{name} {at}".replace(" ", "-")).write_bytes(data)


def _run_process(reader: Reader, numbers: range, seed: int, shared: mmap.mmap, result: Result, keep: Path) -> int:
    """Fork, read the process's messages to its end, and return its exit code: 0 if all is done, or minus a signal."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as outer:
        ear, mouth = os.pipe()
        sys.stdout.flush()
        if (child := os.fork()) == 0:
            os.close(ear)
            _child(reader, numbers, seed, shared, mouth, Path(outer, "box"))
        os.close(mouth)
        _listen(ear, reader.name, result, keep)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _listen(ear: int, name: str, result: Result, keep: Path) -> None:
    with os.fdopen(ear) as messages:
        for line in messages:
            message = json.loads(line)
            if "broken" in message:
                raise SystemExit(f"{name}: {message['broken']}")
            _take(result, message)
            if "fault" in message:
                _note(result, keep, name, message["runs"] - 1, message["fault"], bytes.fromhex(message["data"]))


def _take(result: Result, message: dict[str, Any]) -> None:
    result.runs = message.get("runs", result.runs)
    result.slowest = max(result.slowest, message.get("slowest", 0.0))
    result.seen.update(message.get("seen", {}))
    result.missing = message.get("missing", result.missing)


def _child(reader: Reader, numbers: range, seed: int, shared: mmap.mmap, mouth: int, box: Path) -> None:
    """The process: tell the parent what was seen, and never return."""
    code = 1
    try:
        box.mkdir()
        with os.fdopen(mouth, "w") as messages:
            for message in _fed(reader, numbers, seed, shared, box):
                messages.write(json.dumps(message) + "\n")
                messages.flush()
        code = 0
    finally:
        os._exit(code)


def _fed(reader: Reader, numbers: range, seed: int, shared: mmap.mmap, box: Path) -> Iterator[dict[str, Any]]:
    _silence()
    try:
        prepared = reader.prepare(box)
        if isinstance(prepared, str):
            yield {"missing": prepared}
            return
        target, seeds = prepared
        refused = [error for one in seeds if (error := said(target, one)[1])]
    except Exception:  # noqa: BLE001  the parent tells it
        yield {"broken": traceback.format_exc()}
        return
    if len(refused) == len(seeds):
        yield {"broken": f"it refuses all that is mutated: {refused[0]}"}
        return
    _limit(box)
    for at in numbers:
        rng = random.Random(f"{seed} {reader.name} {at}")
        data = rng.choice(seeds)
        if reader.text and rng.random() < 0.5:
            data = replace_cells(data, rng, reader.words)
        else:
            data = mutate(data, seeds, rng, reader.words)
        kept = data[: SHARED - 16]
        shared[: 16 + len(kept)] = at.to_bytes(8, "little") + len(kept).to_bytes(8, "little") + kept
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        signal.alarm(WALL)
        before = time.process_time()
        word, fault = said(target, data)
        seconds = time.process_time() - before
        signal.setitimer(signal.ITIMER_PROF, 0)
        if at % LOOKS == 0 and (beside := [path.name for path in box.parent.iterdir() if path != box]):
            word, fault = FAULT, f"left {beside} beside its folder"
        message = {"runs": at + 1, "slowest": seconds, "seen": {word: 1}}
        yield message | ({"fault": fault, "data": data.hex()} if word == FAULT else {})


def replace_cells(data: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """Put other cells, numbers or names in place of some: what a reader refuses as a whole tells little of the rest."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        cells = list(CELL.finditer(data))
        if cells:
            cell = rng.choice(cells)
            other = rng.choice(words) if rng.random() < 0.5 else rng.choice(cells)[0]
            data = data[: cell.start()] + other + data[cell.end() :]
    return data


def said(target: Target, data: bytes) -> tuple[str, str]:
    """Return a word for what a target did with an input, and the text of its error."""
    try:
        return target(data), ""
    except PhotoError as error:
        return error.code, str(error)
    except FrontalizeError as error:
        return type(error).__name__, str(error)
    except BaseException as error:  # noqa: BLE001  everything else is a fault
        place = traceback.extract_tb(error.__traceback__)[-1]
        return FAULT, f"{type(error).__name__}: {error}"[:200] + f" ({Path(place.filename).name}:{place.lineno})"


def _silence() -> None:
    """Let libraries say nothing."""
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)


def _limit(box: Path) -> None:
    """Bound memory, and let nothing happen outside the folder."""
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    used = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
    most = (int(used.split()[1]) << 10) + MEMORY
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(lambda event, words: _check(event, words, str(box)))


def _check(event: str, words: tuple[Any, ...], box: str) -> None:
    if event in FORBIDDEN:
        raise EscapedError(f"{event}: {words}"[:200])
    is_writing = event == "open" and isinstance(words[2], int) and words[2] & WRITING
    for place, folder in ((0, None),) if is_writing else PATHS.get(event, ()):
        if not isinstance(words[place], int):
            base = os.getcwd()  # noqa: PTH109
            if folder is not None and words[folder] not in (-1, None):
                base = str(Path(f"/proc/self/fd/{words[folder]}").readlink())
            path = os.path.normpath(os.path.join(base, os.fsdecode(words[place])))  # noqa: PTH118
            if path not in (os.devnull, box) and not path.startswith(f"{box}/"):
                raise EscapedError(f"{event}: {path!r}")
