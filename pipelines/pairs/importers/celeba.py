"""CelebA: numbered photos, and text files with attributes, identities and the partition.

Liu, Luo, Wang, Tang: Deep Learning Face Attributes in the Wild, ICCV 2015. ``list_attr_celeba.txt``: the count, a line
with the names of 40 attributes, then ``000001.jpg -1 1 ...``; ``list_eval_partition.txt``: ``000001.jpg 0`` (0 train,
1 validation, 2 test); ``identity_CelebA.txt``: ``000001.jpg 2880``. The tables of the copy on Kaggle, with commas and
a header, are read as well.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.importers.importer import Importer, Item, Listing, without_collisions
from toolkit.errors import ConfigError, PhotoRejected
from toolkit.records.labels import ATTRIBUTE
from toolkit.records.ledger import error_outcome
from toolkit.records.subjects import SPLITS

PATH_PATTERN = "listed in list_attr_celeba.txt"
_ATTRIBUTES, _PARTITION, _IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
_FOLDERS = (".", "Anno", "Eval", "..", "../Anno", "../Eval")  # as published; SRC may be the folder of the photos
_BITS = {"1": 1, "-1": 0, "0": 0}


def list_celeba(source: Path, photos: Sequence[str], config: ImportConfig) -> Listing:
    """Read the tables of CelebA.

    Args:
        source: SRC; the tables lie there, in ``Anno`` and ``Eval``, or beside it.
        photos: relative paths.
        config: not used.

    Returns:
        Each photo as a subject of its own, both target and input. Rejected: ``no-attributes`` for photos that are not
        in the list, ``collision``.

    Raises:
        ConfigError: no list of attributes, or a malformed line in a table.
    """
    paths = {name: _find(source, name) for name in (_ATTRIBUTES, _PARTITION, _IDENTITY)}
    attributes = _attributes(paths[_ATTRIBUTES], source)
    partition = {name: SPLITS[int(number)] for name, number in _column(paths[_PARTITION], re.compile(r"[012]"))}
    person = dict(_column(paths[_IDENTITY], re.compile(r"\d+")))
    named, refusals = [], []
    for photo in photos:
        stem = Path(photo).stem  # the photos are published as .jpg and as .png
        if stem in attributes:
            labels = {"person": person.get(stem), "partition": partition.get(stem), **attributes[stem]}
            named.append(Item(photo, stem, stem, "both", labels))
        else:
            refusals.append(error_outcome(photo, PhotoRejected("no-attributes", f"{stem} is not {PATH_PATTERN}")))
    items, collided = without_collisions(named)
    return Listing(items, refusals + collided, _digest(paths))


def _find(source: Path, name: str) -> Path | None:
    places = (source / folder / f"{name}{suffix}" for folder in _FOLDERS for suffix in (".txt", ".csv"))
    return next((path for path in places if path.is_file()), None)


def _digest(paths: dict[str, Path | None]) -> str:
    digest = hashlib.sha256()
    for name, path in paths.items():
        digest.update(name.encode() + (path.read_bytes() if path else b""))
    return digest.hexdigest()


def _attributes(path: Path | None, source: Path) -> dict[str, dict[str, Any]]:
    """Read the attributes of each photo, without suffix: columns of labels.csv, 1 or 0."""
    if path is None:
        places = ", ".join(str((source / folder).resolve()) for folder in _FOLDERS)
        raise ConfigError(f"SRC {source}: no {_ATTRIBUTES}.txt; searched in {places}; it is part of CelebA, in Anno/")
    lines = _lines(path)
    _, header = next(lines, (0, []))
    if len(header) == 1 and header[0].isdecimal():  # the count of photos
        _, header = next(lines, (0, []))
    names = [ATTRIBUTE + name for name in (header[1:] if header[:1] == ["image_id"] else header)]
    if not names:
        raise ConfigError(f"{path}: no names of attributes on its second line; is it CelebA's own list?")
    table = {}
    for number, cells in lines:
        if len(cells) != len(names) + 1 or not set(cells[1:]) <= _BITS.keys():
            raise ConfigError(
                f"{path}, line {number}: {' '.join(cells)[:60]!r} is not a photo with {len(names)} times 1 or -1"
            )
        table[Path(cells[0]).stem] = dict(zip(names, map(_BITS.__getitem__, cells[1:]), strict=True))
    return table


def _column(path: Path | None, value: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield each photo of a two-column table, without suffix, and its value; nothing without the table."""
    for number, cells in _lines(path) if path else ():
        if cells[0] == "image_id":
            continue
        if len(cells) != 2 or not value.fullmatch(cells[1]):
            raise ConfigError(f"{path}, line {number}: {' '.join(cells)[:60]!r} is not a photo and {value.pattern}")
        yield Path(cells[0]).stem, cells[1]


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of the lines that are not empty."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if cells := line.replace(",", " ").split():
                    yield number, cells
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error


IMPORTER = Importer(PATH_PATTERN, list_celeba)
