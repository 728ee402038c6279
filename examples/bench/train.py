"""Measure the overhead of the training loop over its two indispensable parts: the recipe's step and the loader.

    python examples/bench/train.py DATASET [RECIPE [ROUNDS [STEPS]]]

Three measurements in turn, in one process: `frontalize train` from after its first steps to the step before its last
checkpoint; the recipe's step on one batch in memory; the loader. Ratio: the rate of the training loop to that of a
program that loads and steps alternately. The loop loads in parallel, so the ratio may exceed 1.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.runtime.config import all_cores
from pipelines.train.config import TrainConfig
from pipelines.train.data.batches import LoaderSpec, PairBatch
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.recipe import Setup, StepInfo, TrainingSet
from pipelines.train.recipes.registry import make_recipe, normalization_of, recipe_settings
from pipelines.train.trainer import Training
from toolkit.records.subjects import read_pairs

WARM_UP = 3  # steps that are not counted


def per_step(steps: Iterator[object]) -> float:
    """Return the mean seconds per item, without the first few."""
    times = [time.perf_counter() for _ in steps]
    return (times[-1] - times[WARM_UP - 1]) / (len(times) - WARM_UP)


def loop(config: TrainConfig) -> Iterator[object]:
    """Run `frontalize train` without its last step, which writes a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        training = Training(config, Path(folder) / "run", "auto", all_cores())
        for now in training.run(lambda: False):
            if now.step == config.steps:
                break
            yield now


def bare_steps(config: TrainConfig, batch: PairBatch, spec: LoaderSpec) -> Iterator[object]:
    """Run the recipe's step only."""
    data = TrainingSet(spec.root, spec.pairs, spec.labels)
    recipe = make_recipe(config.recipe, recipe_settings(config), Setup(open_fabric("32", "auto", 1)), data)
    for step in range(config.steps or 0):
        yield {name: float(loss) for name, loss in recipe.step(batch, StepInfo(step, 0)).items()}


def main(dataset: Path, recipe: str, rounds: int, steps: int) -> None:
    """Measure in turn; print medians and the range."""
    config = TrainConfig(dataset=str(dataset), recipe=recipe, steps=steps, save_every=10 * steps)
    settings, pairs = recipe_settings(config), read_pairs(dataset)
    labels = settings.batch_spec.read_labels(dataset, pairs)
    spec = LoaderSpec(
        root=dataset,
        pairs=pairs,
        batch_size=settings.batch_size,
        image_size=settings.image_size,
        normalization=normalization_of(recipe),
        seed=0,
        workers=all_cores(),
        batch_spec=settings.batch_spec,
        labels=labels,
    )
    loader = DaliLoader(spec, open_fabric("32", "auto", 1).device)
    batch = next(iter(loader.batches(0, 1)))
    ratios, rates = [], []
    for _ in range(rounds):
        train, step, load = (
            per_step(each) for each in (loop(config), bare_steps(config, batch, spec), loader.batches(0, steps))
        )
        rates.append(spec.batch_size / train)
        ratios.append((step + load) / train)
        print(f"train {train:.3f} s a step; bare step {step:.3f}, loading {load:.3f}: {ratios[-1]:.2f}", flush=True)
    print(
        f"{recipe}, batch {spec.batch_size}: {statistics.median(rates):.1f} images/s, "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of loading and stepping in turn"
    )


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2] if len(sys.argv) > 2 else "scaleway",
        int(sys.argv[3]) if len(sys.argv) > 3 else 5,
        int(sys.argv[4]) if len(sys.argv) > 4 else 15,
    )
