"""How fast the DALI loader feeds pairs, against two rivals and our own torch loader, in turn, in the same run.

    taskset -c 0,1 python examples/bench/loader.py DATASET [ROUNDS [BATCHES]]

DATASET is a paired set of `frontalize pairs build` or `synth`, best of JPEGs. One rival is what most training scripts
do: one item per pair, PIL decode and resize, ToTensor-like scaling in the worker, default collate, a torch DataLoader
with 2 workers. The other is bare DALI: two file readers, decoders and resizes on 2 threads, and nothing behind them:
8-bit images that never leave DALI. Ours give normalized float batches in torch. All at 128 px, on 2 cores, warm
before the clock starts.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipelines.train.data.batches import LoaderSpec
from pipelines.train.data.dali_loader import DaliLoader
from pipelines.train.data.torch_loader import TorchLoader
from pipelines.weights.normalization import Normalization
from toolkit.records.subjects import read_pairs

BATCH, SIZE, WARM_UP, WORKERS = 30, 128, 6, 2


class PilPairs(Dataset[tuple[Tensor, Tensor]]):
    """The rival's dataset."""

    def __init__(self, spec: LoaderSpec, steps: int) -> None:
        self._files = [pair for step in range(steps) for pair in zip(*spec.files(step), strict=True)]

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        one, other = (self._read(file) for file in self._files[place])
        return one, other

    def _read(self, file: str) -> Tensor:
        with Image.open(file) as photo:
            small = photo.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        return (torch.from_numpy(np.array(small)).permute(2, 0, 1).float() - 128) / 128


def bare_dali(spec: LoaderSpec, steps: int) -> Iterator[Any]:
    """DALI's own readers, decoder and resize on the same files in the same order."""
    from nvidia.dali import fn, pipeline_def, types

    lists = list(zip(*(spec.files(step) for step in range(steps)), strict=True))

    @pipeline_def(batch_size=BATCH, num_threads=WORKERS, device_id=None, prefetch_queue_depth=2)  # type: ignore[untyped-decorator]
    def pairs() -> tuple[Any, ...]:
        read = [fn.readers.file(files=[file for files in role for file in files])[0] for role in lists]
        decoded = [fn.decoders.image(data, device="cpu", output_type=types.RGB) for data in read]
        return tuple(fn.resize(image, size=[SIZE, SIZE]) for image in decoded)

    pipeline = pairs()
    pipeline.build()
    for _ in range(steps):
        yield pipeline.run()


def rate(batches: Iterator[object], count: int) -> float:
    """Pairs per second, once warm."""
    for _ in range(WARM_UP):
        next(batches)
    started = time.perf_counter()
    for _ in range(count):
        next(batches)
    return count * BATCH / (time.perf_counter() - started)


def main(dataset: Path, rounds: int, batches: int) -> None:
    """All four in turn; medians, and the ratios round by round."""
    pairs, cpu, steps = read_pairs(dataset), torch.device("cpu"), batches + WARM_UP
    spec = LoaderSpec(
        root=dataset.resolve(),
        pairs=pairs,
        batch_size=BATCH,
        image_size=SIZE,
        normalization=Normalization(128, 128),
        seed=0,
        workers=WORKERS,
    )
    rates: dict[str, list[float]] = {"our DALI loader": [], "bare DALI": [], "PIL": [], "our torch loader": []}
    for number in range(rounds):
        runs = (
            DaliLoader(spec, cpu).batches(0, steps),
            bare_dali(spec, steps),
            iter(DataLoader(PilPairs(spec, steps), BATCH, num_workers=WORKERS, multiprocessing_context="forkserver")),
            TorchLoader(spec, cpu).batches(0, steps),
        )
        for measured, run in zip(rates.values(), runs, strict=True):
            measured.append(rate(run, batches))
        print(f"round {number + 1}:", ", ".join(f"{name} {run[-1]:.0f}" for name, run in rates.items()), flush=True)
    print(f"{len(pairs)} pairs, batches of {BATCH} at {SIZE} px, pairs/s:")
    for name, measured in rates.items():
        print(f"{name:>16}: median {statistics.median(measured):.0f} ({min(measured):.0f} to {max(measured):.0f})")
    for rival in ("PIL", "bare DALI"):
        ratios = [one / other for one, other in zip(rates["our DALI loader"], rates[rival], strict=True)]
        print(
            f"our DALI loader at {statistics.median(ratios):.2f} times {rival} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 5,
        int(sys.argv[3]) if len(sys.argv) > 3 else 60,
    )
