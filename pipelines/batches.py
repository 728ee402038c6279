"""The contract between the loaders and the trainer: which pairs make up which batch, and what a batch holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolkit.subjects import Pair


@dataclass(frozen=True, slots=True)
class PairBatch:
    """What one training step sees: (B, 3, S, S) float32, (x - mean) / scale, on the trainer's device."""

    input: Tensor
    target: Tensor


@dataclass(frozen=True, slots=True)
class Normalization:
    """How 8-bit levels become network numbers: ``(x - mean) / scale``; stored with the weights."""

    mean: float = 127.5
    scale: float = 127.5


def normalize(images: Tensor, constants: Normalization, device: torch.device) -> Tensor:
    """(B, 3, S, S) uint8 to float32 network numbers on a device."""
    return images.to(device, non_blocking=True).to(torch.float32).sub_(constants.mean).div_(constants.scale)


@dataclass(frozen=True, slots=True)
class Feed:
    """All that a loader needs to know."""

    root: Path
    pairs: list[Pair]
    batch_size: int
    image_size: int  # px per side; images of other sizes are resized with a triangle filter, wide enough to shrink well
    normalization: Normalization
    seed: int
    workers: int

    def indices(self, step: int) -> NDArray[np.int64]:
        """Which pairs make up the batch of a step, counted from 0.

        The epochs' shuffled orders stand one behind the other, and batches are cut from that
        endless row: every pair comes once per epoch, no batch is short, and any position can
        be found again from its number alone.
        """
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, inside = np.divmod(places, len(self.pairs))
        orders = [_shuffled(self.seed, int(epoch), len(self.pairs)) for epoch in epochs]
        return np.array([order[place] for order, place in zip(orders, inside, strict=True)])

    def files(self, step: int) -> tuple[list[str], list[str]]:
        """Absolute paths of the inputs and of the targets of a step."""
        pairs = [self.pairs[index] for index in self.indices(step)]
        return [str(self.root / pair.input) for pair in pairs], [str(self.root / pair.target) for pair in pairs]


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(count)


class Loader(Protocol):
    """Anything that turns a feed into batches."""

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """The batches of steps ``first`` to ``last - 1``.

        Raises:
            DatasetError: a file cannot be decoded; it is named.
        """
        ...
