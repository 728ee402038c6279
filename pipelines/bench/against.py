"""Stage: `align` and `batch` against the plain loop, on the same photos.

Each run is a process of its own and is measured from its start to its end, so loading the networks counts on both
sides. The sides take turns, and the one that begins changes from round to round: a machine that gets slower or does
other work hits both alike. What frontalize prints is left out.
"""

import multiprocessing
import resource
import shutil
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pipelines.bench.config import BenchConfig
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop, ctrl_c_blocked
from toolkit.errors import ConfigError

COMMANDS = ("align", "batch")
POLL = 0.5  # seconds between checks for Ctrl-C; the end of a run is noticed at once
PLAIN, OURS = "plain loop", "frontalize"
_spawn = multiprocessing.get_context("spawn")
Work = Callable[[Path, Path], None]  # photos of the first folder -> outputs in the second, which is empty


@dataclass(frozen=True, slots=True)
class Run:
    """One run over all photos."""

    seconds: float  # from the start of the process to its end
    cpu_seconds: float  # of it and of all processes that it started
    written: int  # outputs


@dataclass(frozen=True, slots=True)
class Comparison:
    """A command and the plain loop, round by round."""

    command: str
    photos: int
    runs: dict[str, list[Run]] = field(default_factory=lambda: {PLAIN: [], OURS: []})

    def row(self) -> dict[str, Any]:
        """Plain values; ``ratio`` is the median over the rounds of how many times as fast frontalize was."""
        ratios = [plain.seconds / ours.seconds for plain, ours in zip(*self.runs.values(), strict=True)]
        return {
            "command": self.command,
            "photos": self.photos,
            "plain": self._side(PLAIN),
            "frontalize": self._side(OURS),
            "ratio": statistics.median(ratios),
            "least_ratio": min(ratios),
            "greatest_ratio": max(ratios),
        }

    def _side(self, name: str) -> dict[str, float]:
        runs = self.runs[name]
        rates = [self.photos / run.seconds for run in runs]
        return {
            "per_second": statistics.median(rates),
            "slowest": min(rates),
            "fastest": max(rates),
            "cores_used": statistics.median(run.cpu_seconds / run.seconds for run in runs),
            "cpu_seconds_per_photo": statistics.median(run.cpu_seconds for run in runs) / self.photos,
            "written": runs[-1].written,
        }


class AgainstPlain:
    """Comparisons on the photos of a folder.

    Args:
        source: holds the photos themselves, no folders.
        scratch: an empty folder for outputs.
        config: how often, and the plain loop's landmarker.
        device: where the networks run, as :func:`pipelines.runtime.devices.choose_device` names it.
        bulk: how frontalize runs.

    Attributes:
        comparisons: by command, filled by :meth:`run`.
    """

    def __init__(self, source: Path, scratch: Path, config: BenchConfig, device: str, bulk: BulkConfig) -> None:
        self._source, self._scratch, self._rounds = source, scratch, config.rounds
        plain_batch = partial(_plain_batch, bundle=config.landmarker, device=device)
        self._works: dict[str, dict[str, Work]] = {
            "align": {PLAIN: partial(_plain_align, bundle=config.landmarker), OURS: partial(_align, bulk=bulk)},
            "batch": {PLAIN: plain_batch, OURS: partial(_batch, bulk=bulk)},
        }
        photos = sum(1 for _ in source.iterdir())
        self.comparisons = {command: Comparison(command, photos) for command in COMMANDS}

    def __len__(self) -> int:
        """Number of runs."""
        return len(COMMANDS) * self._rounds * 2

    def run(self, stop: Stop) -> Iterator[str]:
        """Measure until told to stop; yield what ran after each run.

        Raises:
            ConfigError: one side cannot run here, or writes nothing.
        """
        self._read_all()
        for command, works in self._works.items():
            for number in range(self._rounds):
                for side in sorted(works, reverse=number % 2 == 0):
                    measured = self._measure(f"{command}, {side}", works[side], stop)
                    if measured is None:
                        return
                    if not measured.written:
                        raise ConfigError(f"{command}, {side}: no output; give a SRC with portraits")
                    self.comparisons[command].runs[side].append(measured)
                    yield f"{command}, {side}"

    def _read_all(self) -> None:
        """Read all photos once, so that no side finds them in memory that the other had to read from the disk."""
        for path in self._source.iterdir():
            path.read_bytes()

    def _measure(self, what: str, work: Work, stop: Stop) -> Run | None:
        """Run one side to its end; return None after a stop."""
        out = self._scratch / "out"
        out.mkdir()
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        receiver, sender = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_run, args=(work, self._source, out, sender))
        with ctrl_c_blocked():
            process.start()
        sender.close()
        while process.is_alive():
            process.join(POLL)
            if stop():
                process.terminate()
                process.join()
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        written = sum(1 for path in out.iterdir() if path.suffix == ".jpg")
        shutil.rmtree(out)
        if stop():
            return None
        try:
            error: str = receiver.recv()
        except EOFError:  # it died, and Python has said why
            error = f"ended with {process.exitcode}; leave out photos that end it, or give another SRC"
        if error:
            raise ConfigError(f"{what}: {error}")
        cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Run(seconds, cpu_seconds, written)


def _run(work: Work, source: Path, out: Path, sender: Connection) -> None:
    """In a process of its own: do the work, then send nothing or what is wrong with the set-up."""
    try:
        work(source, out)
    except ConfigError as error:
        sender.send(str(error))
    else:
        sender.send("")


def _plain_align(source: Path, out: Path, bundle: Path | None) -> None:
    from pipelines.bench.plain_loop import align_one_by_one

    align_one_by_one(source, out, bundle)


def _plain_batch(source: Path, out: Path, bundle: Path | None, device: str) -> None:
    from pipelines.bench.plain_loop import frontalize_one_by_one

    frontalize_one_by_one(source, out, bundle, device)


def _align(source: Path, out: Path, bulk: BulkConfig) -> None:
    from pipelines.align.align_photos import align_photos
    from pipelines.align.config import AlignPhotosConfig
    from pipelines.runtime.plan import plan_photos

    deque(align_photos(plan_photos(source, out), AlignPhotosConfig(), bulk, never), maxlen=0)


def _batch(source: Path, out: Path, bulk: BulkConfig) -> None:
    from pipelines.batch.config import FrontalizeConfig
    from pipelines.batch.network import Frontalizer
    from pipelines.runtime.plan import plan_photos

    deque(Frontalizer(FrontalizeConfig(model="refiner"), bulk).run(plan_photos(source, out), never), maxlen=0)


def never() -> bool:
    """A :data:`Stop` for runs that :class:`AgainstPlain` ends itself."""
    return False
