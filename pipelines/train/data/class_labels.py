"""Class labels of a set's pairs, from ``labels.csv``: pose, light, person.

A table gives lights in one of two ways. Lamps have an azimuth in degrees, and the table has a column
``light_strength``: class 0 is no lamp, classes 1 to 19 are the nearest of -90, -80 ... 90 degrees. Other tables number
their lights from 0: the number is the class. Multi-PIE has 20 numbered lights, so both ways give 20 classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import DatasetError
from toolkit.records.labels import ATTRIBUTE, Labels, read_labels
from toolkit.records.subjects import Pair

Partner = Literal["neighbor", "person"]
Numbers = NDArray[np.int64]
Flipped = NDArray[np.bool_]
UNKNOWN = -1  # the class where the table has no value; ``cross_entropy(..., ignore_index=-1)`` skips it
YAWS = tuple(float(yaw) for yaw in range(-60, 61, 15))  # degrees: the nine Multi-PIE cameras of the published recipes
_LAMPS = tuple(float(azimuth) for azimuth in range(-90, 91, 10))  # degrees
_MOST_LIGHTS = 1000  # larger numbers are no light numbers


@dataclass(frozen=True, slots=True, eq=False)
class PairLabels:
    """The labels of the inputs of N pairs. Methods on classes take pair numbers, (B,), and return (B,)."""

    people: list[str]  # sorted; a person's class is the index here
    person: Numbers  # (N,) classes
    yaw: NDArray[np.float32]  # (N,) degrees, NaN where unknown
    light: NDArray[np.float32]  # (N,) lamp's azimuth in degrees or light's number, NaN where there is none
    lamps: bool  # whether lights are lamps with an azimuth
    yaws: tuple[float, ...]  # degrees, ascending: the classes of pose
    attribute_names: list[str]  # sorted; empty unless asked for
    attributes: NDArray[np.float32]  # (N, A) ones and zeros
    _order: Numbers = field(init=False)  # pairs sorted by person, then light, then pose
    _keys: Numbers = field(init=False)  # the sorted keys

    def __post_init__(self) -> None:
        pairs = np.arange(len(self.person))
        keys = self._key(self.person, self.light_class(pairs), self.pose_class(pairs))
        object.__setattr__(self, "_order", np.argsort(keys, kind="stable"))
        object.__setattr__(self, "_keys", keys[self._order])

    @property
    def lights(self) -> int:
        """The number of light classes."""
        if self.lamps:
            return 1 + len(_LAMPS)
        return 1 + int(np.nanmax(self.light, initial=0))

    @property
    def can_flip(self) -> bool:
        """Whether the classes of a flipped photo are known; those of numbered lights are not."""
        known = self.light[~np.isnan(self.light)]
        return self.lamps or not (known != known[:1]).any()

    def pose_class(self, pairs: Numbers, flipped: Flipped | None = None) -> Numbers:
        """Return the index of the nearest yaw class; UNKNOWN where the yaw is unknown."""
        yaw = _flip_angle(self.yaw[pairs], flipped)
        return np.where(np.isnan(yaw), UNKNOWN, _nearest(self.yaws, yaw))

    def light_class(self, pairs: Numbers, flipped: Flipped | None = None) -> Numbers:
        """Return the class of the light; UNKNOWN where lights are numbered and the number is missing."""
        if self.lamps:
            azimuth = _flip_angle(self.light[pairs], flipped)
            return np.where(np.isnan(azimuth), 0, 1 + _nearest(_LAMPS, azimuth))
        number = self.light[pairs]
        return np.where(np.isnan(number), UNKNOWN, np.nan_to_num(number)).astype(np.int64)

    def partner(self, pair: int, kind: Partner, chance: float, choice: float) -> int:
        """Choose the pair whose input becomes the second input of this one.

        Args:
            pair: its number.
            kind: ``neighbor``: with probability 0.5 a photo of the same person in the same light, one pose class
                further to either side (where there is none, as with lamps drawn at random: any photo of that
                person), else any photo of the set. ``person``: any photo of the same person, this one included.
            chance: a random number in [0, 1) that decides between a neighbor and any photo.
            choice: a random number in [0, 1) that decides which.
        """
        if kind == "neighbor":
            if chance >= 0.5:
                return int(choice * len(self.person))
            if (neighbor := self._neighbor(pair, choice)) is not None:
                return neighbor
        first, last = np.searchsorted(self._keys, self._key(self.person[pair] + np.arange(2), UNKNOWN, UNKNOWN))
        return int(self._order[first + int(choice * (last - first))])

    def _neighbor(self, pair: int, choice: float) -> int | None:
        one = np.array([pair])
        [pose], [key] = self.pose_class(one), self._key(self.person[one], self.light_class(one), self.pose_class(one))
        if pose == UNKNOWN:
            return None
        before, own, after, end = np.searchsorted(self._keys, key + np.array([-1, 0, 1, 2])).tolist()
        count = (own - before) + (end - after)
        index = before + int(choice * count)
        return int(self._order[index if index < own else index - own + after]) if count else None

    def _key(self, person: Numbers, light: Numbers | int, pose: Numbers | int) -> Numbers:
        """The sort key: consecutive for neighboring poses of one person and light, with gaps to all others."""
        slots = len(self.yaws) + 3  # unknown, gap, the poses, gap
        slot: Numbers = np.where(np.asarray(pose) == UNKNOWN, 0, np.asarray(pose) + 2)
        return slot + slots * (light + 1 + (self.lights + 1) * person)


def read_pair_labels(
    root: Path, pairs: Sequence[Pair], yaws: tuple[float, ...] = YAWS, poses: bool = True, attributes: bool = False
) -> PairLabels:
    """Read the labels of a set's inputs from its ``labels.csv``.

    Args:
        root: of the set.
        pairs: all of them; a pair's number is its index here.
        yaws: degrees, ascending; the classes of pose.
        poses: whether a set without any yaw is an error.
        attributes: whether to read attributes, which every input must then have.

    Raises:
        DatasetError: the table is damaged, or lacks what is needed.
    """
    columns = None if attributes else ("person", "yaw", "light", "light_strength")
    labels = read_labels(root, columns)
    files = [pair.input for pair in pairs]
    yaw, light = labels.numbers("yaw", files), labels.numbers("light", files)
    lamps = "light_strength" in labels.columns
    if poses and np.isnan(yaw).all():
        raise DatasetError(f"{root}: labels.csv has no yaw of any input, which this recipe needs; build the set again")
    wrong = np.flatnonzero((not lamps) & ~np.isnan(light) & ((light % 1 != 0) | (light < 0) | (light >= _MOST_LIGHTS)))
    if len(wrong):
        raise DatasetError(
            f"{root}: labels.csv: light of {files[wrong[0]]} is {light[wrong[0]]:g}; numbers of lights are 0, 1, 2 "
            f"up to {_MOST_LIGHTS - 1}, and lamps in degrees need the column light_strength"
        )
    names = labels.attributes if attributes else []
    if attributes and not names:
        raise DatasetError(f"{root}: labels.csv has no column attr_<name>, and this recipe learns attributes")
    people, person = _people(labels, pairs)
    if not lamps and np.isnan(light).all():
        light = np.zeros_like(light)  # a set without lights has one
    table = _attributes(root, labels, files, names)
    del labels, files  # frees the memory of a million strings before the arrays are sorted
    return PairLabels(people, person, yaw, light, lamps, yaws, names, table)


def _people(labels: Labels, pairs: Sequence[Pair]) -> tuple[list[str], Numbers]:
    named = [labels.person(pair.input, pair.subject) for pair in pairs]
    people = sorted(set(named))
    number = {name: index for index, name in enumerate(people)}
    return people, np.array([number[name] for name in named], np.int64)


def _attributes(root: Path, labels: Labels, files: list[str], names: list[str]) -> NDArray[np.float32]:
    columns = [labels.numbers(f"{ATTRIBUTE}{name}", files) for name in names]
    table = np.column_stack(columns) if columns else np.zeros((len(files), 0), np.float32)
    missing = np.argwhere(np.isnan(table))
    if len(missing):
        file, name = files[missing[0][0]], names[missing[0][1]]
        raise DatasetError(f"{root}: labels.csv: {file} has no {ATTRIBUTE}{name}; every input needs every attribute")
    return table


def _flip_angle(degrees: NDArray[np.float32], flipped: Flipped | None) -> NDArray[np.float32]:
    return degrees if flipped is None else np.where(flipped, -degrees, degrees)


def _nearest(classes: tuple[float, ...], degrees: NDArray[np.float32]) -> Numbers:
    """Indices of the nearest of ascending classes; of two equally near the one nearer to 0, as a flip requires."""
    between = (np.array(classes[1:]) + np.array(classes[:-1])) / 2
    return np.where(degrees > 0, np.searchsorted(between, degrees), np.searchsorted(between, degrees, side="right"))
