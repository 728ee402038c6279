"""Pair batches by torch's DataLoader and Pillow: the reference for tests of the DALI loader."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PilImage
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipelines.runtime.interrupt import ctrl_c_blocked
from pipelines.train.data.augment import uniform_rows
from pipelines.train.data.batches import LoaderSpec, PairBatch
from pipelines.train.data.pair_reader import PairReader, Sample
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image

# A fork of a process with DALI pipelines deadlocks when its garbage collector frees them.
_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload([__name__])


class _Raw(NamedTuple):
    """The result of a worker process."""

    images: Tensor  # (R, B, 3, L, L) uint8
    numbers: Tensor  # (2, B) of the pairs, and of those that second inputs come from
    damaged: dict[str, str]  # all files that this worker could not decode so far, with the reason


class _Batches(Dataset[_Raw]):
    """One item per training step: worker processes assemble whole batches."""

    def __init__(self, spec: LoaderSpec, first: int, last: int) -> None:
        self._spec, self._first, self._last = spec, first, last
        self._reader = _reader(spec)

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, index: int) -> _Raw:
        step = self._first + index
        samples = self._reader.samples(self._spec.indices(step).tolist(), self._spec.uniform(step))
        return _stacked(samples, self._reader.damaged)


class TorchLoader:
    """Decodes and resizes in worker processes, augments and normalizes on the device.

    Args:
        spec: what to load.
        device: of the batches.
    """

    def __init__(self, spec: LoaderSpec, device: torch.device) -> None:
        self._spec, self._device = spec, device
        self.replaced: dict[str, str] = {}

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """See :class:`pipelines.train.data.batches.Loader`."""
        workers = min(self._spec.workers, last - first)
        loader = DataLoader(
            _Batches(self._spec, first, last),
            batch_size=None,
            num_workers=workers,
            multiprocessing_context=_forkserver if workers else None,
            worker_init_fn=_init_worker,
            pin_memory=self._device.type == "cuda",
            generator=torch.Generator(),  # drawing the workers' seed must not advance the training's generator
        )
        with ctrl_c_blocked():
            loaded = iter(loader)  # starts the processes
        for step, raw in enumerate(loaded, start=first):
            self.replaced.update(raw.damaged)
            yield _batch(self._spec, raw, self._spec.uniform(step), self._device)


def _init_worker(worker: int) -> None:
    """Leave Ctrl-C to the training, which ends with a checkpoint: without its loader it could not. End with it.

    torch's own check would wait for the end of the fork server, this process's parent.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_training, daemon=True).start()


def _end_with_training() -> None:
    if (training := multiprocessing.parent_process()) is not None:
        training.join()
        os._exit(1)


def load_pairs(spec: LoaderSpec, indices: Sequence[int], device: torch.device) -> PairBatch:
    """Return one batch of chosen pairs, unaugmented, loaded in this process."""
    reader = _reader(spec)
    uniform = np.concatenate([uniform_rows(spec.seed, index, 1) for index in indices])
    return _batch(spec, _stacked(reader.samples(indices, uniform), reader.damaged), None, device)


def _batch(spec: LoaderSpec, raw: _Raw, uniform: NDArray[np.float64] | None, device: torch.device) -> PairBatch:
    images = raw.images.to(device, non_blocking=True)
    index, second = raw.numbers.numpy()
    return spec.batch(images, index, second, uniform)


def _reader(spec: LoaderSpec) -> PairReader[Image]:
    return PairReader(spec, partial(_read_one, size=spec.load_size))


def _stacked(samples: Sequence[Sample[Image]], damaged: dict[str, str]) -> _Raw:
    images = np.stack([np.stack(role) for role in zip(*(sample.images for sample in samples), strict=True)])
    numbers = np.array([[sample.index for sample in samples], [sample.second for sample in samples]])
    return _Raw(torch.from_numpy(images), torch.from_numpy(numbers), damaged)


def _read_one(file: str, size: int) -> Image:
    """Decode to (3, size, size)."""
    photo = PilImage.fromarray(read_photo(Path(file)))
    if photo.size != (size, size):
        photo = photo.resize((size, size), PilImage.Resampling.BILINEAR)
    return np.asarray(photo).transpose(2, 0, 1)
