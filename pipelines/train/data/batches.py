"""The contract between the loaders and the trainer: which pairs make up which batch, and what a batch holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.runtime.config import require_at_least, require_workers
from pipelines.train.data.augment import Augment, apply_augment, draw_params, no_augment, uniform_rows
from pipelines.train.data.class_labels import YAWS, PairLabels, Partner, read_pair_labels
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError
from toolkit.records.subjects import Pair

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """The data of one training step, on the trainer's device.

    Images are (B, 3, S, S) float32, ``(level - mean) / scale``. Classes are (B,) int64, defined in
    :mod:`pipelines.train.data.class_labels`. Fields that the recipe's batch spec does not ask for are None.
    """

    input: Tensor
    target: Tensor
    index: Tensor  # (B,) int64, the pairs' numbers in the set
    pose: Tensor | None = None  # class of the input, after flipping; -1 where unknown; so are the next two
    light: Tensor | None = None
    identity: Tensor | None = None
    attributes: Tensor | None = None  # (B, A) float32, ones and zeros
    second: Tensor | None = None  # another input of the set
    second_pose: Tensor | None = None
    second_light: Tensor | None = None
    second_identity: Tensor | None = None
    visibility: Tensor | None = None  # (B, 1, S, S) float32, 0 to 1: how well the photo showed each pixel of the input
    unmirrored: Tensor | None = None  # (B, 3, S, S): the input, a frontal view, without mirroring


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchSpec:
    """What a recipe needs besides inputs and targets."""

    labels: bool = False  # classes of pose, light and identity, of the second input too
    attributes: bool = False
    second: Partner | None = None  # how second inputs are chosen; see PairLabels.partner
    view_parts: bool = False  # visibility and unmirrored view beside each input; not together with second inputs
    contour_weights: bool = False  # TrainingSet.contour_weights, one map for the whole set
    yaws: tuple[float, ...] = YAWS  # degrees, ascending: the classes of pose
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        recolored = any((self.augment.brightness, self.augment.contrast, self.augment.saturation))
        if self.view_parts and (self.second or recolored or self.augment.jpeg or self.augment.blur):
            raise ValueError("view_parts=True: only load_size and flip may be combined with it, and no second inputs")
        if len(self.yaws) < 2 or list(self.yaws) != sorted(set(self.yaws)):
            raise ConfigError(f"yaws={self.yaws}: must be two or more ascending degrees")

    @property
    def files_per_pair(self) -> int:
        """2 to 4: input, target, and maybe a second input, or a view's visibility and unmirrored view."""
        return 2 + (self.second is not None) + 2 * self.view_parts

    def read_labels(self, root: Path, pairs: Sequence[Pair]) -> PairLabels | None:
        """Read the set's labels; None where nothing here needs them.

        Raises:
            DatasetError: the set does not have them.
        """
        if not (self.labels or self.attributes or self.second):
            return None
        poses = self.labels or self.second == "neighbor"
        return read_pair_labels(root, pairs, self.yaws, poses, self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoaderSpec:
    """All settings of a loader.

    Several GPUs share one set: each takes its ``batch_size`` pairs of every step, so a step has
    ``batch_size * world_size`` pairs, and all ranks take the same number of steps.
    """

    root: Path
    pairs: list[Pair]
    batch_size: int  # pairs per step and rank
    image_size: int  # px per side; images of other sizes are resized with an antialiasing triangle filter
    normalization: Normalization
    seed: int
    workers: int  # threads or processes
    batch_spec: BatchSpec = field(default_factory=BatchSpec)
    labels: PairLabels | None = None  # `batch_spec.read_labels(root, pairs)`
    evaluation: bool = False  # one pass over the set in its listed order, unaugmented
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        spec, augment = self.batch_spec, self.batch_spec.augment
        if self.labels is None and (spec.labels or spec.attributes or spec.second):
            raise ValueError("this batch_spec needs labels; give labels=batch_spec.read_labels(root, pairs)")
        require_at_least("batch_size", self.batch_size, 1, "leave it out for the recipe's")
        require_at_least("image_size", self.image_size, 1, "leave it out for the recipe's")
        require_workers(self.workers)
        if self.load_size < self.image_size:
            raise ConfigError(f"load_size={self.load_size}: must be image_size={self.image_size} or more")
        if augment.flip and spec.labels and self.labels and not self.labels.can_flip:
            raise ConfigError(
                f"flip={augment.flip:g}: this set numbers its lights, and a flipped light has no number; use flip=0"
            )

    @property
    def load_size(self) -> int:
        """Side of the images before random cropping, px."""
        return self.batch_spec.augment.load_size or self.image_size

    @property
    def steps_per_pass(self) -> int:
        """Steps until every pair has come once; in evaluation, all the steps there are."""
        return -(-len(self.pairs) // (self.batch_size * self.world_size))

    def positions(self, step: int) -> Numbers:
        """Return this rank's consecutive positions of a step, counted from 0, in the sequence of all epochs.

        In evaluation the last step has fewer, split evenly over the ranks; a rank for which none is left
        repeats the last pair, so that all ranks take the same steps (``index`` tells).
        """
        global_batch = self.batch_size * self.world_size
        if not self.evaluation:
            return np.arange(self.batch_size) + step * global_batch + self.rank * self.batch_size
        rest = np.arange(step * global_batch, min((step + 1) * global_batch, len(self.pairs)))
        mine = np.array_split(rest, self.world_size)[self.rank]
        return mine if len(mine) else np.array([len(self.pairs) - 1])

    def indices(self, step: int) -> Numbers:
        """Return the numbers of the pairs in the batch of a step, (B,).

        The shuffled orders of all epochs form one sequence, and batches are consecutive parts of it: every pair
        comes once per epoch over all ranks, no batch is short, and the pair at a position depends on the seed and
        the position only. In evaluation the order is that of the set.
        """
        positions = self.positions(step)
        if self.evaluation:
            return positions
        epochs, offsets = np.divmod(positions, len(self.pairs))
        orders = {epoch: _shuffled(self.seed, epoch, len(self.pairs)) for epoch in set(epochs.tolist())}
        return np.array([orders[epoch][offset] for epoch, offset in zip(epochs.tolist(), offsets, strict=True)])

    def uniform(self, step: int) -> NDArray[np.float64]:
        """Return the random numbers of a step's pairs: see :func:`pipelines.train.data.augment.uniform_rows`."""
        positions = self.positions(step)
        return uniform_rows(self.seed, int(positions[0]), len(positions))

    def file(self, name: str) -> str:
        """Return the absolute path of an input or a target."""
        return f"{self.root}/{name}"

    def files(self, step: int) -> tuple[list[str], list[str]]:
        """Return the absolute paths of the inputs and of the targets of a step."""
        pairs = [self.pairs[index] for index in self.indices(step)]
        return [self.file(pair.input) for pair in pairs], [self.file(pair.target) for pair in pairs]

    def batch(self, images: Tensor, index: Numbers, second: Numbers, uniform: NDArray[np.float64] | None) -> PairBatch:
        """Augment, normalize and label the images that a loader decoded.

        Args:
            images: (R, B, 3, L, L) uint8 on the trainer's device, L the load_size: inputs, targets, and second inputs
                or visibility and unmirrored views.
            index: (B,) numbers of the pairs that were read.
            second: (B,) numbers of the pairs that second inputs come from; unused if R is 2.
            uniform: (B, COLUMNS) random numbers; None: no augmentation.
        """
        spec, size, device = self.batch_spec, self.image_size, images.device
        if uniform is None or self.evaluation:
            params = no_augment(spec.augment, len(index), size)
        else:
            params = draw_params(spec.augment, uniform, size)
        levels = apply_augment(images, params, size)
        fields = {"index": torch.from_numpy(index).to(device)}
        if spec.view_parts:
            fields["visibility"] = levels[2, :, :1] / 255
        levels = levels.sub_(self.normalization.mean).div_(self.normalization.scale)
        fields |= {"input": levels[0], "target": levels[1]}
        if spec.view_parts:
            fields["unmirrored"] = levels[3]
        roles = [("", index)]
        if spec.second:
            fields["second"] = levels[2]
            roles.append(("second_", second))
        if spec.labels and (labels := self.labels):
            for prefix, pairs in roles:
                fields[f"{prefix}pose"] = torch.from_numpy(labels.pose_class(pairs, params.flipped)).to(device)
                fields[f"{prefix}light"] = torch.from_numpy(labels.light_class(pairs, params.flipped)).to(device)
                fields[f"{prefix}identity"] = torch.from_numpy(labels.person[pairs]).to(device)
        if spec.attributes and self.labels:
            fields["attributes"] = torch.from_numpy(self.labels.attributes[index]).to(device)
        return PairBatch(**fields)


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, count: int) -> Numbers:
    return np.random.default_rng([seed, epoch]).permutation(count)


class Loader(Protocol):
    """Batches of a :class:`LoaderSpec`."""

    @property
    def replaced(self) -> dict[str, str]:
        """Files that could not be decoded so far, each with the reason; other pairs replaced theirs."""
        ...

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """Yield the batches of steps ``first`` to ``last - 1``; a step's batch does not depend on ``first``.

        Raises:
            DatasetError: no pair of the set can be decoded.
        """
        ...
