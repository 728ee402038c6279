"""`labels.csv`: what is known of each file of a paired set, one row per file.

======================  ==========================================================================
``file``                relative to the set, with ``/``
``subject``             the folder that the pair belongs to
``role``                ``input`` or ``target``
``person``              who it is, where one person has several folders; the subject where it is empty
``yaw pitch roll``      degrees; yaw is positive when the subject turns to their left
``light``               the light's number in the set it came from, or the lamp's azimuth in degrees
``light_strength``      0 to 1
``session camera``      as the set it came from names them
``partition``           train, val or test, where the set it came from says so
``sha256``              of the file as it was written: what `pairs verify` compares with
``source``              the photo that it was made from
``attr_<name>``         an attribute, 1 or 0
======================  ==========================================================================

A table has those columns that some row needs. Unknown is empty.
"""

import csv
import io
import math
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import DatasetError
from toolkit.photos.files import write_whole

LABELS = "labels.csv"
MOST_BYTES = 4 << 30  # of a table: ten million rows
ATTRIBUTE = "attr_"  # what the names of attribute columns start with
_LARGEST = 1e9  # of a number in it
_FIRST = ("file", "subject", "role")
_COLUMNS = (
    *_FIRST,
    *(
        "person",
        "yaw",
        "pitch",
        "roll",
        "light",
        "light_strength",
        "session",
        "camera",
        "partition",
        "sha256",
        "source",
    ),
)


@dataclass(frozen=True, slots=True)
class Labels:
    """A table in columns: a million rows take some hundred bytes each."""

    rows: dict[str, int]  # file -> row
    columns: dict[str, list[str]]  # name -> one text per row

    def text(self, column: str, file: str) -> str:
        """One cell; empty where the column or the row is missing."""
        row, values = self.rows.get(file), self.columns.get(column)
        return "" if row is None or values is None else values[row]

    def numbers(self, column: str, files: Sequence[str]) -> NDArray[np.float32]:
        """(N,) float32, NaN where unknown.

        Raises:
            DatasetError: a cell is no number.
        """
        return np.array([_number(self.text(column, file), column, file) for file in files], np.float32)

    def person(self, file: str, subject: str) -> str:
        """Who a file shows: the ``person`` column, or the subject."""
        return self.text("person", file) or subject

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes, sorted."""
        return sorted(name.removeprefix(ATTRIBUTE) for name in self.columns if name.startswith(ATTRIBUTE))


def read_labels(root: Path, columns: Collection[str] | None = None) -> Labels:
    """Read a set's table; an empty one where there is none.

    Args:
        root: of the set.
        columns: those that are wanted besides ``file``; all if None.

    Raises:
        DatasetError: it is no table of this form; says where.
    """
    path = root / LABELS
    if not path.exists():
        return Labels({}, {})
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ValueError(f"{size:,} bytes, the bound is {MOST_BYTES:,}")
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:  # names need not be Unicode
            return _parse(csv.reader(file), columns)
    except (OSError, csv.Error, ValueError) as error:
        raise DatasetError(f"{path}: not a table with the columns file, subject, role: {error}") from error


def _parse(lines: Iterable[list[str]], columns: Collection[str] | None) -> Labels:
    reader = iter(lines)
    header = next(reader, [])
    if "file" not in header:
        raise ValueError(f"line 1 is {','.join(header)[:80]!r}")
    place = header.index("file")
    kept = [(name, number) for number, name in enumerate(header) if columns is None or name in columns]
    values: dict[str, list[str]] = {name: [] for name, _ in kept}
    rows: dict[str, int] = {}
    for count, line in enumerate(reader):
        if len(line) != len(header):
            raise ValueError(f"line {count + 2} has {len(line)} cells, the header {len(header)}")
        rows[line[place]] = count
        for name, number in kept:
            values[name].append(sys.intern(line[number]))
    return Labels(rows, values)


def write_labels(root: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a set's table, whole.

    Args:
        root: of the set.
        rows: one mapping per file, from column names to values; None and missing ones stay empty.
    """
    listed = list(rows)
    present = {name for row in listed for name, value in row.items() if value not in (None, "")}
    attributes = sorted(name for name in present if name.startswith(ATTRIBUTE))
    header = [name for name in _COLUMNS if name in present or name in _FIRST] + attributes
    if unknown := present - set(header):
        raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(header)
    table.writerows([["" if row.get(name) is None else row[name] for name in header] for row in listed])
    write_whole(root / LABELS, buffer.getvalue())


def _number(text: str, column: str, file: str) -> float:
    if not text:
        return float("nan")
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if abs(number) > _LARGEST:
        raise DatasetError(f"{LABELS}: {column} of {file} is {text[:80]!r}, not a number")
    return number
