"""Stage: a paired set -> the same files again as ``train/`` and ``val/``, no person in both.

Files are hard links, so a divided set takes no more room, and the whole stays what its ledger says:
adding photos goes on from there, and dividing again brings the parts up to date.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError, DatasetError
from toolkit.photos.files import link_or_copy, list_photos
from toolkit.records.labels import Labels, read_labels, write_labels
from toolkit.records.subjects import PARTS, Pair, mask_of, parts_of, read_pairs


@dataclass(frozen=True, slots=True)
class Division:
    """Who goes where."""

    root: Path
    pairs: list[Pair]
    labels: Labels
    part_of: dict[str, str]  # subject -> train, val or test


def divide(root: Path, share: str) -> Division:
    """Decide which subjects go where, by the person's name alone: the same in every run and on every machine.

    Where the table has a column ``partition``, as an imported set's may, that decides.

    Args:
        root: of the set.
        share: ``10%`` of the people, or so many, for validation.

    Raises:
        DatasetError: no set, one that breaks the layout, or a person in two partitions.
        ConfigError: a share that leaves either side empty.
    """
    pairs, labels = read_pairs(root), read_labels(root)
    person_of = {pair.subject: labels.person(pair.target, pair.subject) for pair in pairs}
    if labels.columns.get("partition"):
        part_of = _as_given(pairs, labels, person_of)
    else:
        people = set(person_of.values())
        chosen = _drawn(people, _count(share, len(people)))
        part_of = {subject: "val" if person in chosen else "train" for subject, person in person_of.items()}
    for name in set(part_of) & set(PARTS):
        raise DatasetError(f"{root}: a subject is called {name}, as a part would be; rename it")
    return Division(root.resolve(), pairs, labels, part_of)


def carry_out(division: Division, overwrite: bool = False) -> Iterator[str]:
    """Bring the parts up to date; yields each subject when its files are in place. Kill it anywhere, run it again."""
    root, wanted = division.root, _wanted(division)
    for part in [*parts_of(root), *{name for name in wanted if (root / name).is_dir()}]:
        for file in set(list_photos(root / part)[0]) - wanted.get(part, set()):
            (root / part / file).unlink()
            (root / part / mask_of(file)).unlink(missing_ok=True)
        _drop_empty_folders(root / part)
    files_of: dict[str, list[str]] = {}
    for pair in division.pairs:
        files_of.setdefault(pair.subject, [pair.target]).extend(_with_mask(root, pair.input))
    for subject in sorted(division.part_of):
        for file in files_of[subject]:
            place = root / division.part_of[subject] / file
            if overwrite or not (place.exists() and place.samefile(root / file)):
                link_or_copy(root / file, place)
        yield subject
    for part, files in wanted.items():
        if rows := _rows(division.labels, files):
            write_labels(root / part, rows)


def counted(division: Division) -> dict[str, dict[str, int]]:
    """Subjects, people and pairs of each part."""
    people: dict[str, set[str]] = {}
    subjects = Counter(division.part_of.values())
    pairs = Counter(division.part_of[pair.subject] for pair in division.pairs)
    for pair in division.pairs:
        person = division.labels.person(pair.target, pair.subject)
        people.setdefault(division.part_of[pair.subject], set()).add(person)
    return {
        part: {"subjects": subjects[part], "people": len(people[part]), "pairs": pairs[part]}
        for part in PARTS
        if part in subjects
    }


def _rows(labels: Labels, files: set[str]) -> list[dict[str, str]]:
    numbers = sorted(labels.rows[file] for file in files if file in labels.rows)
    return [{name: values[number] for name, values in labels.columns.items()} for number in numbers]


def _wanted(division: Division) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for pair in division.pairs:
        wanted.setdefault(division.part_of[pair.subject], set()).update((pair.input, pair.target))
    return wanted


def _with_mask(root: Path, file: str) -> list[str]:
    mask = mask_of(file)
    return [file, mask] if (root / mask).exists() else [file]


def _count(share: str, people: int) -> int:
    try:
        number = float(share.removesuffix("%"))
        count = round(number * people / 100) if share.endswith("%") else int(number)
        if number <= 0 or (share.endswith("%") and number >= 100):
            raise ValueError
    except ValueError as error:
        raise ConfigError(f"val={share!r}: must be a percentage of the people or a number of them; try 10%") from error
    if people < 2 or count >= people:
        raise ConfigError(f"val={share!r}: of {people:,} people none would be left to train on; try less")
    return max(1, count)


def _drawn(people: set[str], count: int) -> set[str]:
    """Those whose names have the smallest hashes: who joins or leaves the set moves hardly anybody else."""
    return set(sorted(people, key=lambda name: (hashlib.sha256(name.encode()).digest(), name))[:count])


def _as_given(pairs: list[Pair], labels: Labels, person_of: dict[str, str]) -> dict[str, str]:
    part_of: dict[str, str] = {}
    first: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        part = labels.text("partition", pair.target) or "train"
        if part not in PARTS:
            raise DatasetError(f"partition of {pair.target} is {part!r}; must be one of {', '.join(PARTS)}")
        file, known = first.setdefault(person_of[pair.subject], (pair.target, part))
        if known != part:
            raise DatasetError(f"{file} is in {known} and {pair.target} in {part}: one person; mend labels.csv")
        part_of[pair.subject] = part
    return part_of


def _drop_empty_folders(part: Path) -> None:
    for folder in part.iterdir():
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
