"""The subject of a photo, derived from its path: by folder, by a regular expression, or by a table."""

import csv
import os
import re
from collections.abc import Callable
from pathlib import Path

from toolkit.errors import ConfigError, PhotoRejected


def subject_rule(subjects: str) -> Callable[[str], str]:
    """Return a function from a photo's path to its subject's name; it raises PhotoRejected ``no-subject``.

    Args:
        subjects: ``folders`` for the first part of the path; a regular expression for its group ``subject``, or
            its first group; or the path of a CSV with the columns file and subject.

    Raises:
        ConfigError: ``subjects`` is none of these, or the CSV cannot be read.
    """
    if subjects == "folders":
        return _subject_by_folder
    if subjects.endswith(".csv"):
        return _subject_by_table(Path(subjects))
    try:
        pattern = re.compile(subjects)
    except (re.error, OverflowError, RecursionError) as error:  # too large a repetition, too deep a nesting
        raise ConfigError(
            f"--subjects {subjects!r}: neither `folders`, nor a .csv, nor a regular expression ({error})"
        ) from error
    if not pattern.groups:
        raise ConfigError(f"--subjects {subjects!r}: needs a group for the subject; try '(?P<subject>...)'")
    group = "subject" if "subject" in pattern.groupindex else 1

    def rule(photo: str) -> str:
        if (match := pattern.search(photo)) is None or not match[group]:
            raise PhotoRejected("no-subject", f"the path does not match {subjects}")
        return _as_name(match[group])

    return rule


def _subject_by_folder(photo: str) -> str:
    subject, slash, _ = photo.partition("/")
    if not slash:
        raise PhotoRejected("no-subject", "the photo is not in a subject's folder")
    return subject


def _subject_by_table(path: Path) -> Callable[[str], str]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            rows = csv.DictReader(file)
            if missing := {"file", "subject"} - set(rows.fieldnames or ()):
                raise KeyError(*missing)
            table = {row["file"] or "": row["subject"] for row in rows}
    except (OSError, KeyError, csv.Error) as error:
        raise ConfigError(
            f"--subjects {path}: cannot be read as a CSV with the columns file and subject ({error!r})"
        ) from error
    without_suffix = {os.path.splitext(file)[0]: subject for file, subject in table.items()}

    def rule(photo: str) -> str:
        subject = table.get(photo) or without_suffix.get(os.path.splitext(photo)[0])
        if not subject:
            raise PhotoRejected("no-subject", f"not in {path.name}")
        return _as_name(subject)

    return rule


def _as_name(subject: str) -> str:
    """Convert a subject to a valid folder name that is not hidden."""
    return re.sub(r"[/\\\0]", "-", subject).lstrip(".") or "-"
