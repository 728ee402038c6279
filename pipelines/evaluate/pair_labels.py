"""What `labels.csv` says about the pairs of a set: who is on them, how far they are turned, and their groups."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluate.config import IdentityAgainst
from toolkit.errors import ConfigError
from toolkit.records.labels import LABELS, Labels, read_labels
from toolkit.records.subjects import Pair


class PairLabels:
    """The labels of N pairs.

    Args:
        root: of the set.
        pairs: of the set.
        by: columns to group pairs by.

    Attributes:
        person: identity on each file.
        groups: column -> (N,) its value for each input, empty where unknown.
        yaw: (N,) degrees, of the inputs; NaN where unknown.
        labelled: (N,) whether the yaw is known.

    Raises:
        ConfigError: there is no such column.
    """

    def __init__(self, root: Path, pairs: Sequence[Pair], by: Sequence[str]) -> None:
        labels = _read_labels(root, by)
        self._root, self._pairs, self._labels = root, pairs, labels
        self.person = {pair.input: labels.person(pair.input, pair.subject) for pair in pairs}
        self.person |= {pair.target: labels.person(pair.target, pair.subject) for pair in pairs}
        self.groups = {column: [labels.text(column, pair.input) for pair in pairs] for column in by}
        self.yaw: NDArray[np.float64] = labels.numbers("yaw", [pair.input for pair in pairs]).astype(np.float64)
        self.labelled: NDArray[np.bool_] = ~np.isnan(self.yaw)

    def sources(self, photos: Path) -> list[str]:
        """Return the photo of which each input is a crop, relative to the folder of the photos.

        Raises:
            ConfigError: it is not known, or not in that folder.
        """
        found = [self._labels.text("source", pair.input) for pair in self._pairs]
        for pair, source in zip(self._pairs, found, strict=True):
            if not source:
                raise ConfigError(f"photos {photos}: {self._root / LABELS} has no source of {pair.input}; leave it out")
            path = PurePosixPath(source)
            if path.is_absolute() or ".." in path.parts or not (photos / path).is_file():
                raise ConfigError(
                    f"photos {photos}: {source!r}, the source of {pair.input}, is not in it; "
                    "give the folder from which the set was made"
                )
        return found

    def references(self, against: IdentityAgainst) -> list[list[str]]:
        """Return the targets with which the identity of each pair is compared.

        Args:
            against: ``target``: the pair's own; ``other``: all others of the same person.

        Raises:
            ConfigError: nobody has another target.
        """
        if against == "target":
            return [[pair.target] for pair in self._pairs]
        targets: dict[str, list[str]] = {}
        for target in sorted({pair.target for pair in self._pairs}):
            targets.setdefault(self.person[target], []).append(target)
        found = [
            [target for target in targets.get(self.person[pair.input], ()) if target != pair.target]
            for pair in self._pairs
        ]
        if not any(found):
            raise ConfigError(
                f"identity_against=other: nobody in {self._root} has two targets; the column person of {LABELS} says "
                "which subjects are one person; leave it out to compare with the pair's own target"
            )
        return found


def _read_labels(root: Path, by: Sequence[str]) -> Labels:
    labels = read_labels(root, {"person", "yaw", "source", *by})
    missing = next((column for column in by if column not in labels.columns), None)
    if missing is None:
        return labels
    if columns := ", ".join(read_labels(root).columns):
        raise ConfigError(f"by={missing}: {root / LABELS} has no such column; choose one of {columns}")
    raise ConfigError(f"by={missing}: {root} has no {LABELS} to group pairs by; leave out --by")
