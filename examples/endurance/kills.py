"""Kill commands at random moments, run them again to their end, and compare with runs that nobody disturbed.

    python -m examples.endurance.kills --kills 100 --seed 0

SIGKILL and SIGTERM go to the command alone or to all its processes, by chance; SIGINT goes to all, as a terminal's
Ctrl-C does. A series goes on in one folder: each run resumes what the one before has left, until the last one ends by
itself. Then every input must have one row, no temporary file and no process may be left, and all files must be the same
as without kills. A training must end with the same weights, bit by bit. All moments follow from ``--seed`` and the time
that a run takes. The exit code is 1 if there is a defect.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from examples.endurance.commands import LOG, VERBS, Whole, make_inputs, undisturbed, words_of
from examples.endurance.runs import ERROR, Command, differences, finish, look, progress

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
TRIES = 6  # runs for one kill: a run may end before its moment comes
PAUSE = 0.1  # seconds, at most, after the work of which a kill waited
ORPHAN = "EOFError: Ran out of input"  # of Python, in a process that is started when its parent dies
KILLED = "killed"  # folder of the runs with kills


@dataclass(slots=True)
class Series:
    """Kills of one command by one signal."""

    verb: str
    number: signal.Signals
    kills: int = 0
    resumed: int = 0  # kills that left files behind, from which the next run went on
    ended: int = 0  # runs that were done before their moment came; the next one began anew
    defects: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = " | ".join(f"{count:7}" for count in (self.kills, self.resumed, self.ended, len(self.defects)))
        return f"| {self.verb:13} | {self.number.name:7} | {counts} |"


def run_series(series: Series, kills: int, folder: Path, whole: Whole, rng: random.Random) -> None:
    """Kill a command so many times, then let it end and compare."""
    out, log = folder / KILLED / series.verb, folder / LOG
    words, said_before = words_of(series.verb, folder, KILLED), log.stat().st_size
    for _ in range(kills):
        for _ in range(TRIES):
            if _was_killed(series, words, out, whole, rng):
                series.kills += 1
                series.resumed += out.is_dir() and any(out.iterdir())
                break
            series.ended += 1
            series.defects += differences(look(out), whole.left)
            shutil.rmtree(out)
    code, _ = finish(words, log)
    if code != whole.code:
        series.defects.append(f"the last run ended with {code}, the undisturbed one with {whole.code}")
    series.defects += differences(look(out), whole.left)
    said = ERROR.findall(log.read_bytes()[said_before:].decode(errors="replace"))
    series.defects += [line for line in said if line != ORPHAN]
    shutil.rmtree(out)


def _was_killed(series: Series, words: list[object], out: Path, whole: Whole, rng: random.Random) -> bool:
    """Start a command and send the signal at a random moment; tell whether it came before the end."""
    to_all = series.number == signal.SIGINT or rng.random() < 0.5
    process, sent = Command(words, out.parents[1] / LOG), False
    moment = _wait(process, out, whole, rng)
    if process.poll() is None:
        (os.killpg if to_all else os.kill)(process.pid, series.number)
        sent = True
    code = process.wait(120)
    if count := process.wait_for_all():
        series.defects.append(f"kill {series.kills + 1}: {count} processes are left, exit code {code}")
    # Before the command's own handler is there, Python turns Ctrl-C into an exception, and typer into exit code 1.
    wanted = {-series.number, 128 + series.number} | ({1} if series.number == signal.SIGINT else set())
    if code != whole.code and not (sent and code in wanted):
        series.defects.append(f"kill {series.kills + 1}, {moment}: exit code {code}")
    return sent and code in wanted


def _wait(process: Command, out: Path, whole: Whole, rng: random.Random) -> str:
    """Wait until a random share of the run's lines and files is there, and a little longer; tell until when.

    Once in four times it is a time instead, so that runs are killed while they start, too. Shares of the time alone
    would all be moments of the start on a machine that is busier than it was for the undisturbed run.
    """
    if rng.random() < 0.25:
        seconds = rng.uniform(0, whole.seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return f"after {seconds:.2f} s"
    share, pause = rng.uniform(0, 1), rng.uniform(0, PAUSE)
    before = progress(out)
    while process.poll() is None and progress(out) - before <= share * whole.progress:
        time.sleep(0.002)
    time.sleep(pause)
    return f"after {share:.0%} of its work"


def run(
    verbs: list[str], signals: list[signal.Signals], kills: int, copies: int, seed: int, folder: Path
) -> list[Series]:
    """Run all series and print the table."""
    make_inputs(folder, copies)
    before = {name: look(folder / name) for name in ("photos", "people")}
    planned = [(verb, number) for verb in verbs for number in signals]
    done: list[Series] = []
    print("| command       | signal  | kills   | resumed | ended   | defects |\n|---|---|---|---|---|---|", flush=True)
    for place, (verb, number) in enumerate(planned):
        series, whole = Series(verb, number), undisturbed(verb, folder)
        share = kills * (place + 1) // len(planned) - kills * place // len(planned)
        run_series(series, share, folder, whole, random.Random(f"{seed} {verb} {number.name}"))
        done.append(series)
        print(series, flush=True)
        for defect in series.defects:
            print(f"    {defect}", flush=True)
    if any(look(folder / name) != seen for name, seen in before.items()):
        raise SystemExit("an input was changed")
    return done


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--kills", type=int, default=100, help="of all commands and signals together")
    asked.add_argument("--copies", type=int, default=4, help="of each of the twelve faces")
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--verb", action="append", choices=VERBS, help="repeatable; all by default")
    names = [number.name for number in SIGNALS]
    asked.add_argument("--signal", action="append", choices=names, help="repeatable; all by default")
    given = asked.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        signals = [signal.Signals[name] for name in given.signal or names]
        done = run(given.verb or list(VERBS), signals, given.kills, given.copies, given.seed, Path(folder))
    kills, defects = sum(one.kills for one in done), sum(len(one.defects) for one in done)
    print(f"{kills} kills, seed {given.seed}, {defects} defects; {time.monotonic() - began:.0f} s")
    sys.exit(int(defects > 0))


if __name__ == "__main__":
    main()
