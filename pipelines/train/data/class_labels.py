"""What `labels.csv` says of the pairs of a set, as the class numbers that recipes learn: poses, lights, people.

Lights come in two kinds. Lamps have an azimuth in degrees (the table then has a ``light_strength``): class 0 is
no lamp, classes 1 to 19 are the nearest of -90, -80 ... 90 degrees. Other sets number their lights, from 0: the
number is the class. Either way 20 classes hold the sets that this project knows.
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
Mirrored = NDArray[np.bool_]
UNKNOWN = -1  # the class of what the table does not say; ``cross_entropy(..., ignore_index=-1)`` passes over it
YAWS = tuple(float(yaw) for yaw in range(-60, 61, 15))  # degrees: the nine cameras that the recipes were published with
_LAMPS = tuple(float(azimuth) for azimuth in range(-90, 91, 10))  # degrees
_MOST_LIGHTS = 1000  # a table with larger numbers has something else in its column


@dataclass(frozen=True, slots=True, eq=False)
class PairLabels:
    """The labels of N pairs' inputs. Every method takes pair numbers, (B,), and gives (B,)."""

    people: list[str]  # sorted; a person's class is their place here
    person: Numbers  # (N,)
    yaw: NDArray[np.float32]  # (N,) degrees, NaN where unknown
    light: NDArray[np.float32]  # (N,) lamp's azimuth in degrees or light's number, NaN where there is none
    lamps: bool  # lights are lamps with an azimuth
    yaws: tuple[float, ...]  # degrees: the classes of poses
    attribute_names: list[str]  # sorted; empty unless asked for
    attributes: NDArray[np.float32]  # (N, A) ones and zeros
    _order: Numbers = field(init=False)  # pairs sorted by person, then light, then pose
    _keys: Numbers = field(init=False)  # what they are sorted by

    def __post_init__(self) -> None:
        every = np.arange(len(self.person))
        keys = self._key(self.person, self.light_class(every), self.pose_class(every))
        object.__setattr__(self, "_order", np.argsort(keys, kind="stable"))
        object.__setattr__(self, "_keys", keys[self._order])

    @property
    def lights(self) -> int:
        """How many classes of light there are."""
        if self.lamps:
            return 1 + len(_LAMPS)
        return 1 + int(np.nanmax(self.light, initial=0))

    @property
    def can_mirror(self) -> bool:
        """Whether the classes of a mirrored photo are known. A numbered light's mirror image is not."""
        known = self.light[~np.isnan(self.light)]
        return self.lamps or not (known != known[:1]).any()

    def pose_class(self, pairs: Numbers, mirrored: Mirrored | None = None) -> Numbers:
        """The nearest of the yaws; UNKNOWN without one."""
        yaw = _turned(self.yaw[pairs], mirrored)
        return np.where(np.isnan(yaw), UNKNOWN, _nearest(self.yaws, yaw))

    def light_class(self, pairs: Numbers, mirrored: Mirrored | None = None) -> Numbers:
        """The class of the light; UNKNOWN where lights are numbered and this one has none."""
        if self.lamps:
            azimuth = _turned(self.light[pairs], mirrored)
            return np.where(np.isnan(azimuth), 0, 1 + _nearest(_LAMPS, azimuth))
        number = self.light[pairs]
        return np.where(np.isnan(number), UNKNOWN, np.nan_to_num(number)).astype(np.int64)

    def partner(self, pair: int, kind: Partner, chance: float, choice: float) -> int:
        """The pair whose input goes with this one's as the second.

        Args:
            pair: its number.
            kind: ``neighbor``: half of the time the same person in the same light, one class of pose further to
                either side (where there is no such photo, as under lamps drawn at random: any photo of that
                person), else any photo of the set. ``person``: any photo of the same person, now and then the
                same one.
            chance: from [0, 1), decides between a neighbour and any photo.
            choice: from [0, 1), decides which.
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
        place = before + int(choice * count)
        return int(self._order[place if place < own else place - own + after]) if count else None

    def _key(self, person: Numbers, light: Numbers | int, pose: Numbers | int) -> Numbers:
        """One number to sort by: poses that are neighbours follow each other, gaps part them from all others."""
        slots = len(self.yaws) + 3  # unknown, gap, the poses, gap
        slot: Numbers = np.where(np.asarray(pose) == UNKNOWN, 0, np.asarray(pose) + 2)
        return slot + slots * (light + 1 + (self.lights + 1) * person)


def read_pair_labels(
    root: Path, pairs: Sequence[Pair], yaws: tuple[float, ...] = YAWS, poses: bool = True, attributes: bool = False
) -> PairLabels:
    """Read what a set's table says of its inputs, once.

    Args:
        root: of the set.
        pairs: all of them, in the order that gives them their numbers.
        yaws: degrees; the classes of poses.
        poses: they are needed: a set without is an error.
        attributes: they are needed, of every input.

    Raises:
        DatasetError: the table is damaged, or does not say what is needed.
    """
    columns = None if attributes else ("person", "yaw", "light", "light_strength")
    labels = read_labels(root, columns)
    files = [pair.input for pair in pairs]
    yaw, light = labels.numbers("yaw", files), labels.numbers("light", files)
    lamps = "light_strength" in labels.columns
    if poses and np.isnan(yaw).all():
        raise DatasetError(f"{root}: labels.csv gives no input's yaw, and this recipe learns poses; make it anew")
    wrong = np.flatnonzero(~lamps & ~np.isnan(light) & ((light % 1 != 0) | (light < 0) | (light >= _MOST_LIGHTS)))
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
        light = np.zeros_like(light)  # a set that says nothing of light has one light
    table = _attributes(root, labels, files, names)
    del labels, files  # a million texts: let go before the arrays are sorted
    return PairLabels(people, person, yaw, light, lamps, yaws, names, table)


def _people(labels: Labels, pairs: Sequence[Pair]) -> tuple[list[str], Numbers]:
    named = [labels.person(pair.input, pair.subject) for pair in pairs]
    people = sorted(set(named))
    number = {name: place for place, name in enumerate(people)}
    return people, np.array([number[name] for name in named], np.int64)


def _attributes(root: Path, labels: Labels, files: list[str], names: list[str]) -> NDArray[np.float32]:
    columns = [labels.numbers(f"{ATTRIBUTE}{name}", files) for name in names]
    table = np.column_stack(columns) if columns else np.zeros((len(files), 0), np.float32)
    missing = np.argwhere(np.isnan(table))
    if len(missing):
        file, name = files[missing[0][0]], names[missing[0][1]]
        raise DatasetError(f"{root}: labels.csv: {file} has no {ATTRIBUTE}{name}; every input needs every attribute")
    return table


def _turned(degrees: NDArray[np.float32], mirrored: Mirrored | None) -> NDArray[np.float32]:
    return degrees if mirrored is None else np.where(mirrored, -degrees, degrees)


def _nearest(classes: tuple[float, ...], degrees: NDArray[np.float32]) -> Numbers:
    """Places of the nearest of ascending classes; halfway, the one nearer to the front, so that mirror images agree."""
    between = (np.array(classes[1:]) + np.array(classes[:-1])) / 2
    return np.where(degrees > 0, np.searchsorted(between, degrees), np.searchsorted(between, degrees, side="right"))
