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

from pipelines.train.data.augment import Augment, augmented, draw_changes, no_changes, uniform_rows
from pipelines.train.data.class_labels import YAWS, PairLabels, Partner, read_pair_labels
from pipelines.weights.normalization import Normalization
from toolkit.errors import ConfigError
from toolkit.records.subjects import Pair

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """What one training step sees, on the trainer's device.

    Images are (B, 3, S, S) float32, ``(level - mean) / scale``. Classes are (B,) int64; what they mean is in
    :mod:`pipelines.train.data.class_labels`. Whatever the recipe did not ask for is None.
    """

    input: Tensor
    target: Tensor
    index: Tensor  # (B,) int64, the pairs' numbers in the set
    pose: Tensor | None = None  # of the input, mirrored with it; -1 where unknown; so are the next three
    light: Tensor | None = None
    identity: Tensor | None = None
    attributes: Tensor | None = None  # (B, A) float32, ones and zeros
    second: Tensor | None = None  # another input of the set
    second_pose: Tensor | None = None
    second_light: Tensor | None = None
    second_identity: Tensor | None = None
    visibility: Tensor | None = None  # (B, 1, S, S) float32, 0 to 1: how well the photo showed each pixel of the input


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """What a recipe asks of its batches, besides inputs and targets."""

    labels: bool = False  # pose, light and identity, of the second input too
    attributes: bool = False
    second: Partner | None = None  # which input goes with each as the second; see PairLabels.partner
    mask: bool = False  # the visibility mask beside each input; not together with second inputs
    yaws: tuple[float, ...] = YAWS  # degrees, ascending: the classes of poses
    augment: Augment = field(default_factory=Augment)

    def __post_init__(self) -> None:
        recoloured = any((self.augment.brightness, self.augment.contrast, self.augment.saturation))
        if self.mask and (self.second or recoloured or self.augment.jpeg or self.augment.blur):
            raise ValueError("masks go with windows and mirrors alone")
        if len(self.yaws) < 2 or list(self.yaws) != sorted(set(self.yaws)):
            raise ConfigError(f"yaws={self.yaws}: must be two or more ascending degrees")

    @property
    def roles(self) -> int:
        """How many files make up a pair: input, target, and maybe a second input or a mask."""
        return 2 + (self.second is not None or self.mask)

    def read_labels(self, root: Path, pairs: Sequence[Pair]) -> PairLabels | None:
        """The set's labels, where anything here needs them.

        Raises:
            DatasetError: the set does not have them.
        """
        if not (self.labels or self.attributes or self.second):
            return None
        poses = self.labels or self.second == "neighbor"
        return read_pair_labels(root, pairs, self.yaws, poses, self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """All that a loader needs to know.

    Several GPUs share one feed: each takes its ``batch_size`` pairs of every step, so a step sees
    ``batch_size * world_size`` pairs, and all of them take the same number of steps.
    """

    root: Path
    pairs: list[Pair]
    batch_size: int  # pairs per step and rank
    image_size: int  # px per side; images of other sizes are resized with a triangle filter, wide enough to shrink well
    normalization: Normalization
    seed: int
    workers: int  # threads or processes
    needs: Needs = field(default_factory=Needs)
    labels: PairLabels | None = None  # `needs.read_labels(root, pairs)`
    evaluation: bool = False  # once through the set as it is listed, unaugmented
    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        needs, augment = self.needs, self.needs.augment
        if self.labels is None and (needs.labels or needs.attributes or needs.second):
            raise ValueError("these needs need labels; give labels=needs.read_labels(root, pairs)")
        if self.load_size < self.image_size:
            raise ConfigError(f"load_size={self.load_size}: must be image_size={self.image_size} or more")
        if augment.mirror and needs.labels and self.labels and not self.labels.can_mirror:
            raise ConfigError(f"mirror={augment.mirror}: this set's lights are numbered, mirrored ones have no number")

    @property
    def load_size(self) -> int:
        """Side of the images before a window is cut from them, px."""
        return self.needs.augment.load_size or self.image_size

    @property
    def steps_per_pass(self) -> int:
        """Steps until every pair has come once; in evaluation, all the steps there are."""
        return -(-len(self.pairs) // (self.batch_size * self.world_size))

    def places(self, step: int) -> Numbers:
        """This rank's places of a step, counted from 0, in the endless row of all epochs; consecutive.

        In evaluation the last step has fewer, dealt evenly to the ranks; one for which none is left
        takes the last pair once more, so that all make the same steps (``index`` tells).
        """
        together = self.batch_size * self.world_size
        if not self.evaluation:
            return np.arange(self.batch_size) + step * together + self.rank * self.batch_size
        rest = np.arange(step * together, min((step + 1) * together, len(self.pairs)))
        mine = np.array_split(rest, self.world_size)[self.rank]
        return mine if len(mine) else np.array([len(self.pairs) - 1])

    def indices(self, step: int) -> Numbers:
        """Which pairs make up the batch of a step, (B,).

        The epochs' shuffled orders stand one behind the other, and batches are cut from that endless
        row: every pair comes once per epoch over all ranks, no batch is short, and any position can be
        found again from its number alone. In evaluation the order is that of the set.
        """
        places = self.places(step)
        if self.evaluation:
            return places
        epochs, inside = np.divmod(places, len(self.pairs))
        orders = {epoch: _shuffled(self.seed, epoch, len(self.pairs)) for epoch in set(epochs.tolist())}
        return np.array([orders[epoch][place] for epoch, place in zip(epochs.tolist(), inside, strict=True)])

    def uniform(self, step: int) -> NDArray[np.float64]:
        """The random numbers of a step's pairs: see :func:`pipelines.train.data.augment.uniform_rows`."""
        places = self.places(step)
        return uniform_rows(self.seed, int(places[0]), len(places))

    def file(self, name: str) -> str:
        """Absolute path of an input or a target."""
        return f"{self.root}/{name}"

    def files(self, step: int) -> tuple[list[str], list[str]]:
        """Absolute paths of the inputs and of the targets of a step."""
        pairs = [self.pairs[index] for index in self.indices(step)]
        return [self.file(pair.input) for pair in pairs], [self.file(pair.target) for pair in pairs]

    def batch(self, images: Tensor, index: Numbers, second: Numbers, uniform: NDArray[np.float64] | None) -> PairBatch:
        """Augment, normalize and label what a loader read.

        Args:
            images: (R, B, 3, L, L) uint8 on the trainer's device, L the load_size: inputs, targets, and second inputs
                or masks.
            index: (B,) numbers of the pairs that were read.
            second: (B,) numbers of the pairs that second inputs come from; unused if R is 2.
            uniform: (B, COLUMNS) random numbers; None: nothing is augmented.
        """
        augment, size, device = self.needs.augment, self.image_size, images.device
        if uniform is None or self.evaluation:
            changes = no_changes(augment, len(index), size)
        else:
            changes = draw_changes(augment, uniform, size)
        levels = augmented(images, changes, size)
        fields = {"index": torch.from_numpy(index).to(device)}
        if self.needs.mask:
            fields["visibility"] = levels[2, :, :1] / 255
            levels = levels[:2]
        levels = levels.sub_(self.normalization.mean).div_(self.normalization.scale)
        fields |= {"input": levels[0], "target": levels[1]}
        roles = [("", index)]
        if len(levels) > 2:
            fields["second"] = levels[2]
            roles.append(("second_", second))
        if self.needs.labels and (labels := self.labels):
            for role, pairs in roles:
                fields[f"{role}pose"] = torch.from_numpy(labels.pose_class(pairs, changes.mirrored)).to(device)
                fields[f"{role}light"] = torch.from_numpy(labels.light_class(pairs, changes.mirrored)).to(device)
                fields[f"{role}identity"] = torch.from_numpy(labels.person[pairs]).to(device)
        if self.needs.attributes and self.labels:
            fields["attributes"] = torch.from_numpy(self.labels.attributes[index]).to(device)
        return PairBatch(**fields)


@lru_cache(maxsize=4)
def _shuffled(seed: int, epoch: int, count: int) -> Numbers:
    return np.random.default_rng([seed, epoch]).permutation(count)


class Loader(Protocol):
    """Anything that turns a feed into batches."""

    @property
    def replaced(self) -> dict[str, str]:
        """Files that could not be decoded so far, each with the reason; other pairs took the place of theirs."""
        ...

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """The batches of steps ``first`` to ``last - 1``; each the same from wherever one starts.

        Raises:
            DatasetError: not one pair of the set can be decoded.
        """
        ...
