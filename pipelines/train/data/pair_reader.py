"""Read the pairs of a step, with replacements for files that cannot be decoded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipelines.train.data.batches import LoaderSpec
from toolkit.errors import DatasetError, PhotoError
from toolkit.records.subjects import view_parts_of

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Sample(Generic[Read]):
    """One pair as read: files and images of input, target and, where asked for, a second input or the view's parts."""

    index: int  # the pair's number
    second: int  # number of the pair that the second input comes from; -1: none
    files: tuple[str, ...]
    images: tuple[Read, ...]


class PairReader(Generic[Read]):
    """Reads pairs; for a pair that cannot be read, reads the next one of the set that can.

    Args:
        spec: the pairs, and the files that each needs.
        read: maps an absolute path to the loader's own kind of image; raises PhotoError.

    Attributes:
        damaged: files that could not be read, with the reason.
    """

    def __init__(self, spec: LoaderSpec, read: Callable[[str], Read]) -> None:
        self._spec, self._read = spec, read
        self.damaged: dict[str, str] = {}

    def samples(self, indices: Sequence[int], uniform: NDArray[np.float64]) -> list[Sample[Read]]:
        """Read pairs.

        Args:
            indices: B numbers of pairs.
            uniform: (B, 2 or more) random numbers that choose the second inputs.

        Raises:
            DatasetError: no pair of the set can be read.
        """
        return [self._sample(int(index), *row[:2]) for index, row in zip(indices, uniform, strict=True)]

    def _sample(self, index: int, chance: float, choice: float) -> Sample[Read]:
        is_view = self._spec.batch_spec.view_parts
        index, files, images = self._first_readable(
            index, lambda pair: (pair.input, pair.target, *(view_parts_of(pair.input) if is_view else ()))
        )
        partner, labels = self._spec.batch_spec.second, self._spec.labels
        if partner is None or labels is None:
            return Sample(index, -1, files, images)
        wanted = labels.partner(index, partner, chance, choice)
        second, more_files, more_images = self._first_readable(wanted, lambda pair: (pair.input,))
        return Sample(index, second, files + more_files, images + more_images)

    def _first_readable(
        self, index: int, names: Callable[..., tuple[str, ...]]
    ) -> tuple[int, tuple[str, ...], tuple[Read, ...]]:
        """Read the first pair, from this one on and around the end of the set, whose named files can all be read."""
        pairs = self._spec.pairs
        for number in chain(range(index, len(pairs)), range(index)):
            files = tuple(self._spec.file(name) for name in names(pairs[number]))
            images = [image for file in files if (image := self._try(file)) is not None]
            if len(images) == len(files):
                return number, files, tuple(images)
        file, reason = next(iter(self.damaged.items()))
        raise DatasetError(f"{self._spec.root}: no pair can be decoded; {file}: {reason}")

    def _try(self, file: str) -> Read | None:
        if file in self.damaged:
            return None
        try:
            return self._read(file)
        except PhotoError as error:
            self.damaged[file] = error.reason
            return None
