"""The subject-folder format: inputs ``ROOT/<subject>/*.jpg``, their frontal target ``ROOT/<subject>.jpg``.

A set that `frontalize pairs split` divided holds the same files again as ``ROOT/train`` and ``ROOT/val``
(and ``ROOT/test`` where the set says so), each a set of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from toolkit.errors import DatasetError
from toolkit.photos.files import list_photos

PARTS = ("train", "val", "test")
MASK = ".mask"  # suffix of a PNG beside an input: how well each of its pixels was seen; no photo, so no input itself
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Pair:
    """One input and the target it shall become. Paths are relative to the root, with ``/``."""

    input: str
    target: str
    subject: str


def mask_of(photo: str) -> str:
    """Path of an input's visibility mask, beside it."""
    return str(Path(photo).with_suffix(MASK))


def parts_of(root: Path) -> dict[str, Path]:
    """The parts of a divided set, by name; empty where the set is whole.

    A subject may be called ``train``: it has its target beside it, and no ``val``.
    """
    found = {name: root / name for name in PARTS if (root / name).is_dir() and not any(root.glob(f"{name}.*"))}
    return found if {"train", "val"} <= set(found) else {}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that breaks the layout."""

    code: str  # orphan-target, orphan-inputs or two-targets
    files: list[str]  # relative to the root; folders end in ``/``
    detail: str


def read_layout(root: Path) -> tuple[list[Pair], list[Fault]]:
    """List the pairs of a set by name, sorted by subject and input, and what breaks the layout.

    Raises:
        DatasetError: no such folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; build a set with `frontalize pairs build`")
    parts = parts_of(root)
    targets: dict[str, str] = {}
    inputs: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for photo in list_photos(root)[0]:
        subject, slash, _ = photo.partition("/")
        if slash and subject not in parts:
            inputs.setdefault(subject, []).append(photo)
        elif slash:
            continue
        elif (name := Path(photo).stem) in targets:
            files = [photo, targets[name]]
            faults.append(Fault("two-targets", files, f"{photo} and {targets[name]} are both the target of {name}"))
        else:
            targets[name] = photo
    for name in sorted(targets.keys() - inputs.keys()):
        faults.append(Fault("orphan-target", [targets[name]], f"{targets[name]} has no inputs in {name}/"))
    for name in sorted(inputs.keys() - targets.keys()):
        faults.append(Fault("orphan-inputs", [f"{name}/"], f"{name}/ has no target {name}.jpg"))
    paired = sorted(inputs.keys() & targets.keys())
    return [Pair(photo, targets[name], name) for name in paired for photo in inputs[name]], faults


def read_pairs(root: Path) -> list[Pair]:
    """List the pairs of a set, sorted by subject and input, paired by name.

    Raises:
        DatasetError: no such folder, no pair in it, or an orphan: a target without inputs,
            inputs without a target, a subject with two targets. All orphans are named.
    """
    pairs, faults = read_layout(root)
    if faults:
        more = f" and {len(faults) - 10} more" if len(faults) > 10 else ""
        said = "; ".join(fault.detail for fault in faults[:10])
        raise DatasetError(f"{root}: {len(faults)} faults: {said}{more}. Add or remove those files")
    if not pairs:
        raise DatasetError(f"{root}: no pairs in it; expected <subject>/*.jpg with <subject>.jpg beside the folder")
    return pairs


def spread_over_subjects(pairs: Sequence[Item], count: int) -> list[Item]:
    """So many pairs (or their numbers), evenly spaced over the set: different people where there are enough."""
    count = min(count, len(pairs))
    return [pairs[place * len(pairs) // count] for place in range(count)]
