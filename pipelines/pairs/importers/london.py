"""Face Research Lab London Set: neutral and smiling people, from the front, half-turned and in profile.

DeBruine and Jones: Face Research Lab London Set, 2017, doi 10.6084/m9.figshare.5047666, CC BY 4.0. A folder for each
expression and view, ``neutral_front/001_03.jpg``, and a table of the people, ``london_faces_info.csv``. Copies whose
files say the same in their names, ``001_neutral.jpg`` and ``001_neutral_left_3quarter.jpg``, with a table
``people.csv``, are read as well. In such a copy of 51 people, ``left`` means that the nose points to the left of the
picture: the measured yaw is negative in all 204 photos.
"""

import csv
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.importers.importer import Importer, Item, Listing, Row, without_collisions
from toolkit.errors import ConfigError, PhotoRejected
from toolkit.records.ledger import error_outcome

PATH_PATTERN = "neutral_front/001_03.jpg or 001_neutral_left_3quarter.jpg"
FRONT = "front"
TABLES = ("london_faces_info.csv", "people.csv")
_EXPRESSION = r"(?P<expression>neutral|smiling)"
_VIEW = r"_(?P<view>front|(?:left|right)_(?:3quarter|profile))"
_NAMES = (
    re.compile(rf"(?:.*/)?{_EXPRESSION}{_VIEW}/(?P<person>\d+)_\d+\.\w+"),
    re.compile(rf"(?:.*/)?(?P<person>\d+)_{_EXPRESSION}(?:{_VIEW})?\.\w+"),
)
_COLUMNS = {  # of labels.csv: names in the tables
    "age": ("face_age", "age"),
    "sex": ("face_sex", "face_gender", "sex", "gender"),
    "ethnicity": ("face_eth", "ethnicity"),
}
_IDS = ("face_id", "id")
_ID = re.compile(r"[Xx]?(\d+)")  # tables for R write X001


def list_london(source: Path, photos: Sequence[str], config: ImportConfig) -> Listing:
    """Read the names and the table of people of a London Set.

    Args:
        source: SRC; the table lies there, beside it, or in a folder of the photos.
        photos: relative paths, in any folders.
        config: not used.

    Returns:
        One subject per person and expression, its frontal photo as the target. Rejected: ``no-pose`` for other names,
        ``no-target`` for subjects without a frontal photo, ``collision``. People that are not in the table are
        included, without age, sex and ethnicity.

    Raises:
        ConfigError: no photo is frontal, no table, or a malformed line in it.
    """
    named, refusals = [], []
    for photo in photos:
        if (item := _item(photo)) is not None:
            named.append(item)
        else:
            refusals.append(error_outcome(photo, PhotoRejected("no-pose", f"its path is not {PATH_PATTERN}")))
    items, collided = without_collisions(named)
    if not items:
        return Listing([], refusals + collided)
    paired = {item.subject for item in items if item.role == "target"}
    if not paired:
        raise ConfigError(
            f"SRC {source}: none of its {len(items):,} photos of the set is frontal; "
            "give the folder that contains the frontal and the turned photos"
        )
    table = _find_table(source, photos)
    people = _read_people(table)
    missing = PhotoRejected("no-target", "there is no frontal photo of this person with this expression")
    refusals += collided + [error_outcome(item.photo, missing) for item in items if item.subject not in paired]
    for item in items:
        item.labels.update(people.get(int(item.labels["person"]), {}))
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    return Listing([item for item in items if item.subject in paired], refusals, digest)


def _item(photo: str) -> Item | None:
    match = next(filter(None, (name.fullmatch(photo) for name in _NAMES)), None)
    if match is None:
        return None
    person, expression, view = match["person"], match["expression"], match["view"] or FRONT
    labels = {"person": person, "expression": expression, "view": view}
    return Item(photo, f"{person}_{expression}", view, "target" if view == FRONT else "input", labels)


def _find_table(source: Path, photos: Sequence[str]) -> Path:
    folders = [source, source.parent, *sorted({(source / photo).parent for photo in photos})]
    table = next((folder / name for folder in folders for name in TABLES if (folder / name).is_file()), None)
    if table is None:
        raise ConfigError(
            f"SRC {source}: no {' or '.join(TABLES)} in it, beside it, or in a folder of its photos; "
            f"{TABLES[0]} is part of the set; without it, write one with the columns {', '.join(('id', *_COLUMNS))}"
        )
    return table


def _read_people(path: Path) -> dict[int, Row]:
    """Read the people: number -> columns of labels.csv.

    Raises:
        ConfigError: it cannot be read, has no column of people, or a line without a person's number.
    """
    people: dict[int, Row] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            header = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = header
            ids = next((name for name in _IDS if name in header), None)
            if ids is None:
                raise ConfigError(f"{path}, line 1: {','.join(header)[:60]!r} has no column {' or '.join(_IDS)}")
            known = {column: name for column, names in _COLUMNS.items() for name in names if name in header}
            for row in reader:
                match = _ID.fullmatch((row[ids] or "").strip())
                if match is None:
                    raise ConfigError(f"{path}, line {reader.line_num}: {row[ids]!r} is not a number such as 001")
                people[int(match[1])] = {column: (row[name] or "").strip() for column, name in known.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from error
    return people


IMPORTER = Importer(PATH_PATTERN, list_london, squares_are_crops=False, measures_all=True)
