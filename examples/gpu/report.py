"""Check on a machine with an NVIDIA GPU what is claimed of GPUs, and write a page with figures and verdicts.

    make gpu
    python -m examples.gpu.report [OUT] [--photos FOLDER] [--minutes 10] [--dry] [--fresh]

It runs the tests with the marker gpu, compares each verb on the CPU and on the GPU, trains with both loaders, measures
bulk runs, and runs exported networks. A second call goes on where the first was stopped. With --dry all of it runs on
the CPU, in small. The exit code is 1 if a claim fails, 2 if there is no GPU or OUT cannot be used.
"""

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from examples.gpu import comparing, running
from examples.gpu.claims import Claim, Lacking, OutOfTime, skipped
from examples.gpu.machine import describe
from examples.gpu.page import page
from examples.gpu.state import State
from examples.gpu.work import DRY, Sizes, Work, make_photos
from pipelines.runtime.devices import choose_device
from toolkit.errors import ConfigError
from toolkit.photos.files import write_atomic

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the report."""

    name: str
    seconds: float  # that it takes at most, guessed: with less time left it is not begun
    run: Callable[[Work], list[Claim]]


def steps(sizes: Sizes) -> list[Step]:
    """Return all steps, in their order."""
    training = 20 + 3 * sizes.train_seconds
    return [
        Step("tests", 90, running.run_tests),
        Step("align", 30, comparing.align),
        Step("pairs build", 30, comparing.pairs_build),
        Step("pairs synth", 40, comparing.pairs_synth),
        Step("batch geometric", 30, comparing.batch_geometric),
        Step("batch refiner", 30, comparing.batch_refiner),
        Step("training set", 40, running.make_training_set),
        Step("evaluate", 40, comparing.evaluate),
        *(Step(f"train {name}", training, partial(running.train, recipe=name)) for name in sizes.recipes),
        *(Step(f"throughput of {verb}", 40, partial(running.throughput, verb=verb)) for verb in ("align", "batch")),
        Step("built-in refiner", 20, running.built_in_refiner),
        *(Step(f"export {name}", 40, partial(running.export, name=name)) for name in sizes.exports),
    ]


def run_step(step: Step, work: Work, state: State, hurried: bool) -> None:
    """Run a step and record it, whatever comes of it but Ctrl-C."""
    started = time.monotonic()
    if hurried and work.deadline - started < step.seconds:
        state.add(step.name, 0, [skipped(step.name, "no time left; call again to go on")], "no time")
        return
    claims, error = list[Claim](), ""
    try:
        claims = step.run(work)
    except Lacking as lacking:
        claims, error = [skipped(step.name, str(lacking))], str(lacking)
    except OutOfTime as late:
        claims, error = [skipped(step.name, f"no time left ({late}); call again to go on")], str(late)
    except Exception as failure:  # noqa: BLE001  whatever a driver makes of it, the other steps go on
        error = f"{type(failure).__name__}: {failure}"
        claims = [Claim(step.name, error, "", "fails")]
    state.add(step.name, time.monotonic() - started, claims, error)


def main() -> int:
    """Read the words of the command line."""
    words = argparse.ArgumentParser()
    words.add_argument("out", type=Path, nargs="?", default=Path("gpu-report"))
    words.add_argument("--photos", type=Path, help="a folder of portraits; by default variants of those in tests/data")
    words.add_argument("--minutes", type=float, default=10.0, help="what does not fit is skipped")
    words.add_argument("--dry", action="store_true", help="run the report's own code, on the CPU")
    words.add_argument("--fresh", action="store_true", help="do finished steps again")
    given = words.parse_args()
    try:
        return report(given.out.resolve(), given.photos, given.minutes, given.dry, given.fresh)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def report(out: Path, photos: Path | None, minutes: float, dry: bool, fresh: bool) -> int:
    """Run what is left to do, write the page, and return the exit code."""
    device = "cpu" if dry else _gpu()
    settings = {"device": device, "dry": dry, "photos": str(photos.resolve()) if photos else None}
    state, sizes = State(out / "state.jsonl", settings, fresh), DRY if dry else Sizes()
    work, interrupted = Work(out, device, sizes, time.monotonic() + 60 * minutes, in_process=dry), False
    try:
        make_photos(work, photos)
        for step in steps(sizes):
            if step.name not in state.steps:
                run_step(step, work, state, hurried=not dry)
            for claim in state.claims(step.name):
                print(" | ".join(filter(None, (claim.name, claim.figure, claim.bound, claim.verdict))), flush=True)
    except KeyboardInterrupt:
        interrupted = True
    rows = [
        (step.name, state.steps[step.name]["seconds"], state.claims(step.name))
        for step in steps(sizes)
        if step.name in state.steps
    ]
    write_atomic(out / "report.md", page(describe(device), rows, dry))
    print(f"report: {out / 'report.md'}")
    if interrupted:
        return INTERRUPTED
    return int(any(claim.verdict == "fails" for _, _, claims in rows for claim in claims))


def _gpu() -> str:
    try:
        return choose_device("cuda")
    except ConfigError as error:
        raise ConfigError(f"no GPU to report on ({error}); --dry runs the report on the CPU, in small") from error


if __name__ == "__main__":
    sys.exit(main())
