"""The subject-folder format: inputs ``ROOT/<subject>/*.jpg``, their frontal target ``ROOT/<subject>.jpg``.

A set that `frontalize pairs split` divided holds the same files again as ``ROOT/train`` and ``ROOT/val``
(and ``ROOT/test`` where the set says so), each a set of its own.
"""

from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import DatasetError
from toolkit.images import list_photos

PARTS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Pair:
    """One input and the target it shall become. Paths are relative to the root, with ``/``."""

    input: str
    target: str
    subject: str


def parts_of(root: Path) -> dict[str, Path]:
    """The parts of a divided set, by name; empty where the set is whole.

    A subject may be called ``train``: it has its target beside it, and no ``val``.
    """
    found = {name: root / name for name in PARTS if (root / name).is_dir() and not any(root.glob(f"{name}.*"))}
    return found if {"train", "val"} <= set(found) else {}


def read_pairs(root: Path) -> list[Pair]:
    """List the pairs of a set, sorted by subject and input, paired by name.

    Raises:
        DatasetError: no such folder, no pair in it, or an orphan: a target without inputs,
            inputs without a target, a subject with two targets. All orphans are named.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; build a set with `frontalize pairs build`")
    parts = parts_of(root)
    photos = [photo for photo in list_photos(root)[0] if photo.partition("/")[0] not in parts]
    targets: dict[str, str] = {}
    inputs: dict[str, list[str]] = {}
    faults: list[str] = []
    for photo in photos:
        subject, slash, _ = photo.partition("/")
        if slash:
            inputs.setdefault(subject, []).append(photo)
        elif (name := Path(photo).stem) in targets:
            faults.append(f"{photo} and {targets[name]} are both the target of {name}")
        else:
            targets[name] = photo
    faults += [f"{targets[name]} has no inputs in {name}/" for name in sorted(targets.keys() - inputs.keys())]
    faults += [f"{name}/ has no target {name}.jpg" for name in sorted(inputs.keys() - targets.keys())]
    if faults:
        more = f" and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise DatasetError(f"{root}: {len(faults)} faults: {'; '.join(faults[:10])}{more}. Add or remove those files")
    if not inputs:
        raise DatasetError(f"{root}: no pairs in it; expected <subject>/*.jpg with <subject>.jpg beside the folder")
    return [Pair(photo, targets[name], name) for name in sorted(inputs) for photo in inputs[name]]


def spread_over_subjects(pairs: list[Pair], count: int) -> list[Pair]:
    """So many pairs, evenly spaced over the set: different people where there are enough."""
    count = min(count, len(pairs))
    return [pairs[place * len(pairs) // count] for place in range(count)]
