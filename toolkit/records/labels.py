"""The table `labels.csv` of a paired set: one row of metadata per file.

======================  ==========================================================================
``file``                relative to the set, with ``/``
``subject``             folder of the pair
``role``                ``input`` or ``target``
``person``              identity, if one person has several folders; if empty, the subject
``yaw pitch roll``      degrees; yaw is positive when the subject turns to their left
``light``               number of the light in the source set, or azimuth of the lamp in degrees
``light_strength``      0 to 1
``session camera``      as named in the source set
``expression view``     likewise
``age sex ethnicity``   of the person, as the source set gives them
``partition``           train, val or test, if the source set defines it
``sha256``              of the file as written, for `pairs verify`
``source``              the photo from which the file was made
``attr_<name>``         an attribute, 1 or 0
======================  ==========================================================================

A table has only the columns of which some row has a value. Unknown values are empty.
"""

import csv
import io
import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import DatasetError
from toolkit.photos.files import write_atomic

LABELS = "labels.csv"
MAX_BYTES = 4 << 30  # of a table: ten million rows
ATTRIBUTE = "attr_"  # prefix of attribute columns
_MAX_NUMBER = 1e9  # absolute value of a number in a table
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
        "expression",
        "view",
        "age",
        "sex",
        "ethnicity",
        "partition",
        "sha256",
        "source",
    ),
)


@dataclass(frozen=True, slots=True)
class Labels:
    """A table, stored by columns: some hundred bytes per row."""

    rows: dict[str, int]  # file -> index of its row
    columns: dict[str, list[str]]  # name -> one value per row

    def text(self, column: str, file: str) -> str:
        """Return one cell; empty if the column or the row is missing."""
        row, values = self.rows.get(file), self.columns.get(column)
        return "" if row is None or values is None else values[row]

    def numbers(self, column: str, files: Sequence[str]) -> NDArray[np.float32]:
        """Return the (N,) float32 numbers of a column for N files, NaN where unknown.

        Raises:
            DatasetError: a cell is not a number.
        """
        return np.array([_number(self.text(column, file), column, file) for file in files], np.float32)

    def person(self, file: str, subject: str) -> str:
        """Return the identity shown in a file: the ``person`` column, or the subject if it is empty."""
        return self.text("person", file) or subject

    @property
    def attributes(self) -> list[str]:
        """Names of the attributes, sorted, without the prefix."""
        return sorted(name.removeprefix(ATTRIBUTE) for name in self.columns if name.startswith(ATTRIBUTE))


def read_labels(root: Path, columns: Collection[str] | None = None) -> Labels:
    """Read a set's table; a missing one is returned as empty.

    Args:
        root: folder of the set.
        columns: to read besides ``file``; None reads all.

    Raises:
        DatasetError: the file is not a table of this form; the message gives the line.
    """
    path = root / LABELS
    if not path.exists():
        return Labels({}, {})
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"{size:,} bytes, the limit is {MAX_BYTES:,}")
        # surrogateescape: file names may not be valid Unicode
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            return _parse(csv.reader(file), columns)
    except (OSError, csv.Error, ValueError) as error:
        raise DatasetError(f"{path}: not a table with the columns file, subject, role: {error}") from error


def _parse(lines: Iterable[list[str]], columns: Collection[str] | None) -> Labels:
    reader = iter(lines)
    header = next(reader, [])
    if "file" not in header:
        raise ValueError(f"line 1 is {','.join(header)[:80]!r}")
    if repeated := [name for name, times in Counter(filter(None, header)).items() if times > 1]:
        raise ValueError(f"it has more than one column {repeated[0]!r}")
    file_column = header.index("file")  # columns without a name, as spreadsheets add them, are left out
    kept = [(name, number) for number, name in enumerate(header) if name and (columns is None or name in columns)]
    values: dict[str, list[str]] = {name: [] for name, _ in kept}
    rows: dict[str, int] = {}
    for count, line in enumerate(reader):
        if len(line) != len(header):
            raise ValueError(f"line {count + 2} has {len(line)} cells, the header {len(header)}")
        rows[line[file_column]] = count
        for name, number in kept:
            values[name].append(sys.intern(line[number]))
    return Labels(rows, values)


def write_labels(root: Path, rows: Iterable[Mapping[str, Any]], added: Collection[str] = ()) -> None:
    """Write a set's table atomically.

    Args:
        root: folder of the set.
        rows: one mapping per file, from column names to values; None and missing values stay empty.
        added: names of columns that the user has added to the table, written as the last ones.

    Raises:
        ValueError: a row has an unknown column.
    """
    listed = list(rows)
    present = {name for row in listed for name, value in row.items() if value not in (None, "")}
    attributes = sorted(name for name in present if name.startswith(ATTRIBUTE))
    header = [name for name in _COLUMNS if name in present or name in _FIRST] + attributes
    header += sorted(present.intersection(added) - set(header))
    if unknown := present - set(header):
        raise ValueError(f"no such columns: {', '.join(sorted(unknown))}")
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(header)
    table.writerows([["" if row.get(name) is None else row[name] for name in header] for row in listed])
    write_atomic(root / LABELS, buffer.getvalue())


def _number(text: str, column: str, file: str) -> float:
    if not text:
        return float("nan")
    try:
        number = float(text)
    except ValueError:
        number = math.inf
    if abs(number) > _MAX_NUMBER:
        raise DatasetError(f"{LABELS}: {column} of {file} is {text[:80]!r}, not a number")
    return number
