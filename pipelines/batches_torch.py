"""Pair batches by a plain torch DataLoader and Pillow: the reference that DALI is tested against."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipelines.batches import Feed, PairBatch, normalize
from toolkit.errors import DatasetError, PhotoError
from toolkit.photos import read_photo
from toolkit.subjects import Pair


class _Batches(Dataset[tuple[Tensor, Tensor]]):
    """One item per training step, so that worker processes assemble whole batches."""

    def __init__(self, feed: Feed, first: int, last: int) -> None:
        self._feed, self._first, self._last = feed, first, last

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        inputs, targets = self._feed.files(self._first + place)
        return _read_all(inputs, self._feed.image_size), _read_all(targets, self._feed.image_size)


def load_pairs(feed: Feed, pairs: list[Pair], device: torch.device) -> PairBatch:
    """One batch of given pairs, in this process."""
    inputs = _read_all([str(feed.root / pair.input) for pair in pairs], feed.image_size)
    targets = _read_all([str(feed.root / pair.target) for pair in pairs], feed.image_size)
    return PairBatch(*(normalize(images, feed.normalization, device) for images in (inputs, targets)))


def _read_all(files: list[str], size: int) -> Tensor:
    return torch.from_numpy(np.stack([_read_one(Path(file), size) for file in files]))


def _read_one(path: Path, size: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """(3, size, size) uint8."""
    try:
        photo = Image.fromarray(read_photo(path))
    except PhotoError as error:
        raise DatasetError(f"{path}: {error}; replace or remove the file") from error
    if photo.size != (size, size):
        photo = photo.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(photo).transpose(2, 0, 1)


class TorchLoader:
    """Decode and resize in worker processes, normalize on the device.

    Args:
        feed: what to load.
        device: where batches shall be.
    """

    def __init__(self, feed: Feed, device: torch.device) -> None:
        self._feed, self._device = feed, device

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """See :class:`pipelines.batches.Loader`."""
        on_gpu = self._device.type == "cuda"
        loader = DataLoader(
            _Batches(self._feed, first, last),
            batch_size=None,
            num_workers=min(self._feed.workers, last - first),
            pin_memory=on_gpu,
        )
        for inputs, targets in loader:
            yield PairBatch(
                *(normalize(images, self._feed.normalization, self._device) for images in (inputs, targets))
            )
