"""How fast the DALI loader feeds pairs, against a torch DataLoader with 2 workers and Pillow, in the same run.

    python examples/bench_loader.py DATASET [ROUNDS]

DATASET is a paired set of `frontalize pairs build`. The rival is what most training scripts do:
one item per pair, PIL decode and resize, ToTensor-like scaling in the worker, default collate.
Both give normalized float batches at 128 px; both start before the clock does.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipelines.batches import Feed, Normalization
from pipelines.batches_dali import DaliLoader
from pipelines.batches_torch import TorchLoader
from toolkit.subjects import read_pairs

BATCH, SIZE, BATCHES, WARM_UP = 30, 128, 60, 6


class PilPairs(Dataset[tuple[Tensor, Tensor]]):
    """The rival's dataset."""

    def __init__(self, feed: Feed, steps: int) -> None:
        self._files = [pair for step in range(steps) for pair in zip(*feed.files(step), strict=True)]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        one, other = (self._read(file) for file in self._files[place])
        return one, other

    def _read(self, file: str) -> Tensor:
        with Image.open(file) as photo:
            small = photo.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return (torch.from_numpy(np.array(small)).permute(2, 0, 1).float() - 128) / 128


def rate(batches: Iterator[object]) -> float:
    """Pairs per second, once warm."""
    for _ in range(WARM_UP):
        next(batches)
    started = time.perf_counter()
    for _ in range(BATCHES):
        next(batches)
    return BATCHES * BATCH / (time.perf_counter() - started)


def main(dataset: Path, rounds: int) -> None:
    """All three in turn; medians and the ratio round by round."""
    pairs, cpu, steps = read_pairs(dataset), torch.device("cpu"), BATCHES + WARM_UP
    feed = Feed(dataset.resolve(), pairs, BATCH, SIZE, Normalization(128, 128), seed=0, workers=2)
    dali, pil, ours = [], [], []
    for number in range(rounds):
        dali.append(rate(DaliLoader(feed, cpu).batches(0, steps)))
        pil.append(rate(iter(DataLoader(PilPairs(feed, steps), BATCH, num_workers=2))))
        ours.append(rate(TorchLoader(feed, cpu).batches(0, steps)))
        print(
            f"round {number + 1}: DALI {dali[-1]:.0f}, PIL {pil[-1]:.0f}, our torch loader {ours[-1]:.0f}", flush=True
        )
    ratios = [one / other for one, other in zip(dali, pil, strict=True)]
    print(
        f"{len(pairs)} pairs, batches of {BATCH} at {SIZE} px, pairs/s (median): DALI {statistics.median(dali):.0f}",
        end=", ",
    )
    print(f"DataLoader with PIL {statistics.median(pil):.0f}, our torch loader {statistics.median(ours):.0f}", end="; ")
    print(f"DALI at {statistics.median(ratios):.2f} times PIL ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5)
