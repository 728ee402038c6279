"""Pair batches by a plain torch DataLoader and Pillow: the reference that DALI is tested against."""

import multiprocessing
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipelines.train.data.augment import uniform_rows
from pipelines.train.data.batches import Feed, PairBatch
from pipelines.train.data.pair_reader import PairReader, Sample
from toolkit.photos.decode import read_photo

Pixels = NDArray[np.uint8]

# A fork of a process that holds DALI's pipelines or MediaPipe's graphs deadlocks when it collects their garbage.
_clean = multiprocessing.get_context("forkserver")
_clean.set_forkserver_preload([__name__])


class _Raw(NamedTuple):
    """What a worker process hands back."""

    images: Tensor  # (R, B, 3, L, L) uint8
    numbers: Tensor  # (2, B) of the pairs, and of those whose inputs are the second ones
    damaged: dict[str, str]  # all files that this worker could not decode so far


class _Batches(Dataset[_Raw]):
    """One item per training step, so that worker processes assemble whole batches."""

    def __init__(self, feed: Feed, first: int, last: int) -> None:
        self._feed, self._first, self._last = feed, first, last
        self._reader = _reader(feed)

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, place: int) -> _Raw:
        step = self._first + place
        samples = self._reader.samples(self._feed.indices(step).tolist(), self._feed.uniform(step))
        return _stacked(samples, self._reader.damaged)


class TorchLoader:
    """Decode and resize in worker processes, augment and normalize on the device.

    Args:
        feed: what to load.
        device: where batches shall be.
    """

    def __init__(self, feed: Feed, device: torch.device) -> None:
        self._feed, self._device = feed, device
        self.replaced: dict[str, str] = {}

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """See :class:`pipelines.train.data.batches.Loader`."""
        workers = min(self._feed.workers, last - first)
        loader = DataLoader(
            _Batches(self._feed, first, last),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=_clean if workers else None,
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),  # its workers' seed must not come out of the numbers that training draws
        )
        for step, raw in enumerate(loader, start=first):
            self.replaced.update(raw.damaged)
            yield _batch(self._feed, raw, self._feed.uniform(step), self._device)


def load_pairs(feed: Feed, indices: Sequence[int], device: torch.device) -> PairBatch:
    """One batch of given pairs, unaugmented, in this process."""
    reader = _reader(feed)
    uniform = np.concatenate([uniform_rows(feed.seed, index, 1) for index in indices])
    return _batch(feed, _stacked(reader.samples(indices, uniform), reader.damaged), None, device)


def _batch(feed: Feed, raw: _Raw, uniform: NDArray[np.float64] | None, device: torch.device) -> PairBatch:
    images = raw.images.to(device, non_blocking=True)
    index, second = raw.numbers.numpy()
    return feed.batch(images, index, second, uniform)


def _reader(feed: Feed) -> PairReader[Pixels]:
    return PairReader(feed, partial(_read_one, size=feed.load_size))


def _stacked(samples: Sequence[Sample[Pixels]], damaged: dict[str, str]) -> _Raw:
    images = np.stack([np.stack(role) for role in zip(*(sample.images for sample in samples), strict=True)])
    numbers = np.array([[sample.index for sample in samples], [sample.second for sample in samples]])
    return _Raw(torch.from_numpy(images), torch.from_numpy(numbers), damaged)


def _read_one(file: str, size: int) -> Pixels:
    """(3, size, size)."""
    photo = Image.fromarray(read_photo(Path(file)))
    if photo.size != (size, size):
        photo = photo.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(photo).transpose(2, 0, 1)
