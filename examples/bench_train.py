"""What the training loop costs on top of what it cannot do without: the recipe's step, and the reading of the pairs.

    python examples/bench_train.py DATASET [RECIPE] [ROUNDS]

Three things in turn, in the same process: `frontalize train` from a warm start to the step before its last checkpoint;
the bare step, again and again on one batch that lies in memory; the loader alone. Ratio: the loop's rate against that
of a program that does nothing but read and step, one after the other. Reading runs beside the step, so the ratio may
exceed 1.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipelines.runtime.config import all_cores
from pipelines.runtime.devices import open_fabric
from pipelines.train.config import TrainConfig
from pipelines.train.data.batches import Feed, PairBatch
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.recipes.recipe import Clock, TrainingSet, Workshop
from pipelines.train.recipes.registry import make_recipe, normalization_of, recipe_settings
from pipelines.train.trainer import Training
from toolkit.records.subjects import read_pairs

WARM_UP, STEPS = 3, 15


def per_step(moments: Iterator[object]) -> float:
    """Seconds from one item to the next, after the first few."""
    times = [time.perf_counter() for _ in moments]
    return (times[-1] - times[WARM_UP - 1]) / (len(times) - WARM_UP)


def loop(config: TrainConfig) -> Iterator[object]:
    """`frontalize train` without its last step, which writes a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        training = Training(config, Path(folder) / "run", "auto", all_cores())
        for now in training.run(lambda: False):
            if now.step == STEPS:
                break
            yield now


def bare_steps(config: TrainConfig, batch: PairBatch, feed: Feed) -> Iterator[object]:
    """The recipe's step and nothing else."""
    data = TrainingSet(feed.root, feed.pairs, feed.labels)
    recipe = make_recipe(config.recipe, recipe_settings(config), Workshop(open_fabric("32", "auto", 1)), data)
    for step in range(STEPS):
        yield {name: float(loss) for name, loss in recipe.step(batch, Clock(step, 0)).items()}


def main(dataset: Path, recipe: str, rounds: int) -> None:
    """Measure in turn; medians and range."""
    config = TrainConfig(dataset=str(dataset), recipe=recipe, steps=STEPS, save_every=10 * STEPS)
    settings, pairs = recipe_settings(config), read_pairs(dataset)
    labels = settings.needs.read_labels(dataset, pairs)
    feed = Feed(
        root=dataset,
        pairs=pairs,
        batch_size=settings.batch_size,
        image_size=settings.image_size,
        normalization=normalization_of(recipe),
        seed=0,
        workers=all_cores(),
        needs=settings.needs,
        labels=labels,
    )
    loader = DaliLoader(feed, open_fabric("32", "auto", 1).device)
    batch = next(iter(loader.batches(0, 1)))
    ratios, rates = [], []
    for _ in range(rounds):
        took, step, reading = (
            per_step(moments) for moments in (loop(config), bare_steps(config, batch, feed), loader.batches(0, STEPS))
        )
        rates.append(feed.batch_size / took)
        ratios.append((step + reading) / took)
        print(f"train {took:.3f} s a step; bare step {step:.3f}, reading {reading:.3f}: {ratios[-1]:.2f}", flush=True)
    print(
        f"{recipe}, batch {feed.batch_size}: {statistics.median(rates):.1f} images/s, "
        f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) of reading and stepping alone"
    )


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        sys.argv[2] if len(sys.argv) > 2 else "scaleway",
        int(sys.argv[3]) if len(sys.argv) > 3 else 5,
    )
