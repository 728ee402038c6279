"""The rates of a recipe's training with each loader, and the share of time in which the device waits for data.

Called by report.py as a process of its own. The device waits in the time that a training takes longer than its steps
alone, on one batch that is in memory already.
"""

import argparse
import json
import math
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import torch

from examples.gpu.claims import Lacking
from examples.gpu.machine import utilization_reader
from pipelines.runtime.config import all_cores
from pipelines.train.config import TrainConfig
from pipelines.train.data.batches import LoaderSpec
from pipelines.train.data.torch_loader import TorchLoader
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.recipe import Setup, StepInfo, TrainingSet
from pipelines.train.recipes.registry import make_recipe, normalization_of, recipe_settings
from pipelines.train.trainer import Training
from toolkit.records.subjects import read_pairs

ENDLESS = 10**9  # steps
SETTINGS = {"refiner": {"gan_warmup": "0", "identity_warmup": "0"}}  # all losses from the first step on
MIN_STEPS = 3  # that are counted
SAMPLES_PER_SECOND = 5  # of the utilization


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured with one loader."""

    images_per_second: float
    waiting: float  # share of the time
    busy: float | None  # share of the time, by NVML; None: it is missing
    lacks: str  # why
    losses_finite: bool


def main() -> None:
    """Read the words of the command line; print one JSON document."""
    words = argparse.ArgumentParser()
    words.add_argument("dataset", type=Path)
    words.add_argument("run", type=Path)
    words.add_argument("recipe")
    words.add_argument("--device", default="cpu")
    words.add_argument("--workers", type=int, default=all_cores())
    words.add_argument("--seconds", type=float, default=30.0)
    words.add_argument("--warm-up", type=int, default=20)
    words.add_argument("--batch-size", type=int)
    given = words.parse_args()
    rates = {}
    for loader in ("dali", "torch"):
        config = TrainConfig(
            dataset=str(given.dataset),
            recipe=given.recipe,
            loader=loader,
            steps=ENDLESS,
            batch_size=given.batch_size,
            save_every=ENDLESS,
            settings=SETTINGS.get(given.recipe, {}),
        )
        rates[loader] = asdict(measure(config, given.run / loader, given))
        shutil.rmtree(given.run / loader / "checkpoints")  # 100 MB
    print(json.dumps(rates))


def measure(config: TrainConfig, run: Path, given: argparse.Namespace) -> Rates:
    """Train until the time is up, which also saves the weights; then take steps without loading."""
    device, warm_up, finite = given.device, given.warm_up, True
    training, stop = Training(config, run, device, given.workers), _Stop(given.seconds, warm_up)

    def steps() -> Iterator[None]:
        nonlocal finite
        for now in training.run(stop):
            finite = finite and all(map(math.isfinite, now.losses.values()))
            if not stop.stopped:  # the last step saves
                yield

    with _Utilization(device) as utilization:
        step = _per_step(steps(), device, warm_up)
    alone = _per_step(_steps_alone(config, training.device, warm_up + max(stop.steps // 4, MIN_STEPS)), device, warm_up)
    size = recipe_settings(config).batch_size
    return Rates(size / step, max(0.0, 1 - alone / step), utilization.mean, utilization.lacks, finite)


class _Stop:
    """Tells when a training has gone on for so many seconds after its first steps."""

    def __init__(self, seconds: float, warm_up: int) -> None:
        self._seconds, self._warm_up, self._until = seconds, warm_up, math.inf
        self.steps, self.stopped = 0, False

    def __call__(self) -> bool:
        self.steps += 1
        if self.steps == self._warm_up:
            self._until = time.monotonic() + self._seconds
        self.stopped = self.steps >= self._warm_up + MIN_STEPS and time.monotonic() >= self._until
        return self.stopped


def _steps_alone(config: TrainConfig, device: torch.device, steps: int) -> Iterator[None]:
    """The recipe's steps on one batch."""
    settings, root = recipe_settings(config), Path(config.dataset).resolve()
    pairs = read_pairs(root)
    spec = LoaderSpec(
        root=root,
        pairs=pairs,
        batch_size=settings.batch_size,
        image_size=settings.image_size,
        normalization=normalization_of(config.recipe),
        seed=0,
        workers=1,
        batch_spec=settings.batch_spec,
        labels=settings.batch_spec.read_labels(root, pairs),
    )
    [batch] = TorchLoader(spec, device).batches(0, 1)
    setup = Setup(open_fabric(config.precision, str(device), 1))
    recipe = make_recipe(config.recipe, settings, setup, TrainingSet(root, pairs, spec.labels))
    for step in range(steps):
        recipe.step(batch, StepInfo(step, 0))
        yield


def _per_step(steps: Iterator[None], device: str, warm_up: int) -> float:
    """Return the seconds of a step. On a GPU calls return before the work is done, so it is waited for twice."""
    started, done = time.perf_counter(), 0
    for number in count():
        if number == warm_up:
            _wait_for(device)
            started, done = time.perf_counter(), 0
        if next(steps, steps) is steps:
            break
        done += 1
    _wait_for(device)
    return (time.perf_counter() - started) / max(done, 1)


def _wait_for(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


class _Utilization:
    """Samples how busy the device is while its context is open."""

    def __init__(self, device: str) -> None:
        self.lacks, self._samples = "", list[float]()
        self._ended = threading.Event()
        self._read: Callable[[], float] | None = None
        try:
            self._read = utilization_reader(device)
        except Lacking as error:
            self.lacks = str(error)

    @property
    def mean(self) -> float | None:
        """The mean of the second half of the samples: the first steps of a training are no measure of it."""
        later = self._samples[len(self._samples) // 2 :]
        return sum(later) / len(later) if later else None

    def __enter__(self) -> "_Utilization":
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while self._read and not self._ended.wait(1 / SAMPLES_PER_SECOND):
            self._samples.append(self._read())


if __name__ == "__main__":
    main()
