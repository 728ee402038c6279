"""The layout of paired sets: inputs ``ROOT/<subject>/*.jpg``, their frontal target ``ROOT/<subject>.jpg``.

After `frontalize pairs split` a set contains the same files again in ``ROOT/train`` and ``ROOT/val``
(and ``ROOT/test`` if the set defines it), each of which is a set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from toolkit.errors import DatasetError
from toolkit.photos.files import list_photos

SPLITS = ("train", "val", "test")
# Suffixes of images beside an input that is a frontal view. They are not those of photos, so these are no inputs.
MASK, UNMIRRORED = VIEW_PARTS = ".mask", ".unmirrored"  # visibility of each pixel, a PNG; the view without mirroring
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Pair:
    """One input and its target. Paths are relative to the root, with ``/``."""

    input: str
    target: str
    subject: str


def mask_of(photo: str) -> str:
    """Return the path of an input's visibility mask."""
    return str(Path(photo).with_suffix(MASK))


def unmirrored_of(photo: str) -> str:
    """Return the path of an input's unmirrored view."""
    return str(Path(photo).with_suffix(UNMIRRORED))


def view_parts_of(photo: str) -> tuple[str, str]:
    """Return the paths of what lies beside an input that is a frontal view: mask and unmirrored view."""
    return mask_of(photo), unmirrored_of(photo)


def missing_view_part(root: Path, photo: str) -> str | None:
    """Return the first path of :func:`view_parts_of` that is no file of a set; None if both are."""
    return next((part for part in view_parts_of(photo) if not (root / part).is_file()), None)


def find_splits(root: Path) -> dict[str, Path]:
    """Find the splits of a set: folder by name; empty if the set has not been split.

    A subject may be called ``train``: then there is a target for it, and no ``val``.
    """
    found = {name: root / name for name in SPLITS if (root / name).is_dir() and not any(root.glob(f"{name}.*"))}
    return found if {"train", "val"} <= set(found) else {}


@dataclass(frozen=True, slots=True)
class Fault:
    """A violation of the layout."""

    code: str  # orphan-target, orphan-inputs or two-targets
    files: list[str]  # relative to the root; folders end in ``/``
    detail: str


def read_layout(root: Path) -> tuple[list[Pair], list[Fault]]:
    """List the pairs of a set, sorted by subject and input, and the violations of the layout.

    Raises:
        DatasetError: no such folder.
    """
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder; build a set with `frontalize pairs build`")
    splits = find_splits(root)
    targets: dict[str, str] = {}
    inputs: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for photo in list_photos(root)[0]:
        subject, slash, _ = photo.partition("/")
        if slash and subject not in splits:
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
    """List the pairs of a set, sorted by subject and input.

    Raises:
        DatasetError: the folder is missing or has no pairs, or the layout is violated: a target without
            inputs, inputs without a target, or a subject with two targets. The message names the first ten.
    """
    pairs, faults = read_layout(root)
    if faults:
        more = f" and {len(faults) - 10} more" if len(faults) > 10 else ""
        details = "; ".join(fault.detail for fault in faults[:10])
        raise DatasetError(f"{root}: {len(faults)} faults: {details}{more}. Add or remove those files")
    if not pairs:
        raise DatasetError(f"{root}: no pairs in it; expected <subject>/*.jpg with <subject>.jpg beside the folder")
    return pairs


def spread_over_subjects(pairs: Sequence[Item], count: int) -> list[Item]:
    """Select ``count`` items evenly spaced over a sorted list, so that they show as many subjects as possible."""
    count = min(count, len(pairs))
    return [pairs[number * len(pairs) // count] for number in range(count)]
