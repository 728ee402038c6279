"""Scenes of time: folders that vanish in the middle, clocks that jump, files from the future."""

import os
import random
import shutil
from pathlib import Path

from examples.endurance.stage import Stage

CLOCK = """
import random, time
_real, _jumps = time.time, random.Random({seed})
time.time = lambda: _real() + _jumps.choice((0, -4e9, -3600, 3600, 2e9))
time.time_ns = lambda: int(time.time() * 1e9)
"""
TIMES = (0, 1, 2**31, 2**33, -(10**9), 253402300800)  # seconds since 1970; the last one is the year 10000


def source_vanishes(stage: Stage, rng: random.Random) -> list[str]:
    """SRC is gone in the middle, and comes back."""
    process, away = stage.start(), stage.folder / "away"
    stage.wait_for(process, rng.uniform(0, 0.9))
    stage.source.rename(away)
    said = stage.disturbed(process)
    away.rename(stage.source)
    return said + stage.healed()


def out_vanishes(stage: Stage, rng: random.Random) -> list[str]:
    """OUT is removed in the middle. A training goes on, but nothing writes its first samples and metrics again."""
    process = stage.start()
    stage.wait_for(process, rng.uniform(0, 0.9))
    if stage.out.exists():
        away = Path(stage.out.rename(stage.folder / "away"))  # at once: while files are removed others come
        shutil.rmtree(away, ignore_errors=True)
    said = stage.disturbed(process) + stage.healed()
    gone = ("in the end: no samples/", "in the end: step ")
    return [one for one in said if not (stage.verb.startswith("train") and one.startswith(gone))]


def clock_jumps(stage: Stage, rng: random.Random) -> list[str]:
    """The clock of every process jumps by hours and decades, back and forth, at each look."""
    patch = stage.folder / "clock"
    patch.mkdir(exist_ok=True)
    (patch / "sitecustomize.py").write_text(CLOCK.format(seed=rng.randrange(1000)))
    process = stage.start(path=patch)
    stage.wait_for(process, rng.uniform(0, 0.9))
    process.kill()
    process.wait()
    said = stage.disturbed(stage.start(path=patch))
    return said + stage.healed()


def odd_times(stage: Stage, rng: random.Random) -> list[str]:
    """Photos that are from 1938, from 1970, or from the future; and get other times before the second run."""
    said = list[str]()
    for _ in range(2):
        for path in sorted(stage.source.rglob("*.*")):
            seconds = rng.choice(TIMES)
            os.utime(path, (seconds, seconds))
        said += stage.disturbed(stage.start())
    return said + stage.healed() + _finished_again(stage)


def _finished_again(stage: Stage) -> list[str]:
    """A run of finished photos touches no output."""
    before = {path: path.stat().st_mtime_ns for path in Path(stage.out).rglob("*.jpg")}
    said = stage.healed()
    return said + [f"{path.name} was made again" for path, time in before.items() if path.stat().st_mtime_ns != time]
