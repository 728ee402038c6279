"""Stage: a paired set -> the same files again in ``train/`` and ``val/``, each person in one of them only.

The files are hard links: a split takes no additional space, and the whole set stays as its ledger describes it.
After photos were added, another run updates the splits.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError, DatasetError
from toolkit.photos.files import ensure_link, list_photos
from toolkit.records.labels import Labels, read_labels, write_labels
from toolkit.records.subjects import SPLITS, Pair, find_splits, read_pairs, view_parts_of


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The assignment of subjects to splits."""

    root: Path
    pairs: list[Pair]
    labels: Labels
    split_of: dict[str, str]  # subject -> train, val or test


def plan_split(root: Path, val: str) -> SplitPlan:
    """Assign each subject to a split.

    The people for validation are chosen by the hashes of their names: the same in every run and on every machine. If
    labels.csv has a column ``partition``, as an imported set may, that column decides instead.

    Args:
        root: of the set.
        val: people for validation: a percentage, as ``10%``, or a number.

    Raises:
        DatasetError: no set, a violation of its layout, or a person in two partitions.
        ConfigError: ``val`` is neither, or leaves a split empty.
    """
    number, is_percentage = _parse_val(val)
    pairs, labels = read_pairs(root), read_labels(root)
    person_of = {pair.subject: labels.person(pair.target, pair.subject) for pair in pairs}
    if labels.columns.get("partition"):
        split_of = _partitions(pairs, labels, person_of)
    else:
        people = set(person_of.values())
        count = max(1, round(number * len(people) / 100)) if is_percentage else int(number)
        if count >= len(people):
            raise ConfigError(f"val={val!r}: of {len(people):,} people none would be left to train on; use a lower one")
        chosen = _choose_people(people, count)
        split_of = {subject: "val" if person in chosen else "train" for subject, person in person_of.items()}
    for name in set(split_of) & set(SPLITS):
        raise DatasetError(f"{root}: a subject is called {name}, which is the name of a split; rename it")
    return SplitPlan(root.resolve(), pairs, labels, split_of)


def write_splits(plan: SplitPlan, overwrite: bool = False) -> Iterator[str]:
    """Write or update the splits; yield each subject once its files are in place.

    A run that was killed at any point is completed by the next one.

    Raises:
        ConfigError: the set cannot be written.
    """
    try:
        yield from _write_splits(plan, overwrite)
    except OSError as error:
        raise ConfigError(f"{error.filename or plan.root}: cannot be written ({error.strerror})") from error


def _write_splits(plan: SplitPlan, overwrite: bool) -> Iterator[str]:
    root, wanted = plan.root, _files_of_splits(plan)
    for split in [*find_splits(root), *{name for name in wanted if (root / name).is_dir()}]:
        for file in set(list_photos(root / split)[0]) - wanted.get(split, set()):
            (root / split / file).unlink()
            for part in view_parts_of(file):
                (root / split / part).unlink(missing_ok=True)
        _remove_empty_folders(root / split)
    files_of: dict[str, list[str]] = {}
    for pair in plan.pairs:
        files_of.setdefault(pair.subject, [pair.target]).extend(_with_view_parts(root, pair.input))
    for subject in sorted(plan.split_of):
        for file in files_of[subject]:
            ensure_link(root / file, root / plan.split_of[subject] / file, overwrite)
        yield subject
    for split, files in wanted.items():
        if rows := _rows(plan.labels, files):
            write_labels(root / split, rows, added=plan.labels.columns)


def count_splits(plan: SplitPlan) -> dict[str, dict[str, int]]:
    """Count the subjects, people and pairs of each split."""
    people: dict[str, set[str]] = {}
    subjects = Counter(plan.split_of.values())
    pairs = Counter(plan.split_of[pair.subject] for pair in plan.pairs)
    for pair in plan.pairs:
        person = plan.labels.person(pair.target, pair.subject)
        people.setdefault(plan.split_of[pair.subject], set()).add(person)
    return {
        split: {"subjects": subjects[split], "people": len(people[split]), "pairs": pairs[split]}
        for split in SPLITS
        if split in subjects
    }


def _rows(labels: Labels, files: set[str]) -> list[dict[str, str]]:
    numbers = sorted(labels.rows[file] for file in files if file in labels.rows)
    return [{name: values[number] for name, values in labels.columns.items()} for number in numbers]


def _files_of_splits(plan: SplitPlan) -> dict[str, set[str]]:
    files: dict[str, set[str]] = {}
    for pair in plan.pairs:
        files.setdefault(plan.split_of[pair.subject], set()).update((pair.input, pair.target))
    return files


def _with_view_parts(root: Path, file: str) -> list[str]:
    return [file, *(part for part in view_parts_of(file) if (root / part).exists())]


def _parse_val(text: str) -> tuple[float, bool]:
    """Return the number, and whether it is a percentage."""
    is_percentage = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = 0.0
    if not 0 < number < (100 if is_percentage else float("inf")) or not (is_percentage or number.is_integer()):
        raise ConfigError(
            f"val={text!r}: must be a percentage of the people, above 0% and below 100%, or a number of them; try 10%"
        )
    return number, is_percentage


def _choose_people(people: set[str], count: int) -> set[str]:
    """Choose the names with the smallest hashes, so that people who join or leave the set move hardly anyone else."""
    hashes = {name: hashlib.sha256(name.encode(errors="surrogateescape")).digest() for name in people}
    return set(sorted(people, key=lambda name: (hashes[name], name))[:count])


def _partitions(pairs: list[Pair], labels: Labels, person_of: dict[str, str]) -> dict[str, str]:
    """Read the split of each subject from labels.csv."""
    split_of: dict[str, str] = {}
    first: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        split = labels.text("partition", pair.target) or "train"
        if split not in SPLITS:
            raise DatasetError(f"partition of {pair.target} is {split!r}; must be one of {', '.join(SPLITS)}")
        file, other = first.setdefault(person_of[pair.subject], (pair.target, split))
        if other != split:
            raise DatasetError(
                f"{file} is in {other} and {pair.target} in {split}, but they show one person; correct labels.csv"
            )
        split_of[pair.subject] = split
    return split_of


def _remove_empty_folders(split: Path) -> None:
    for folder in split.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
