"""Stage: a paired set -> everything that is wrong with it, by file name and with a way out."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.pairs import checks
from pipelines.pairs.checks import Defect, Entry
from pipelines.pairs.config import VerifyConfig
from pipelines.pairs.verify_worker import Look, open_look
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import DatasetError
from toolkit.photos.files import list_photos
from toolkit.records.labels import LABELS, Labels, read_labels
from toolkit.records.subjects import parts_of, read_layout

NOTES = frozenset({"sorted-order", "other-crop", "mixed-sizes", "same-photo"})  # worth knowing, no reason to fail


class Verification:
    """A set, listed; then looked at file by file; then judged.

    Files of a divided set that are hard links to the whole set's are looked at once.

    Args:
        root: of the set, whole or divided.
        config: how closely to look.

    Raises:
        DatasetError: no such folder, or nothing in it.
    """

    def __init__(self, root: Path, config: VerifyConfig) -> None:
        self.root, self._config = root.resolve(), config
        self.entries: dict[str, Entry] = {}  # files to look at
        self._members: list[Entry] = []  # of train, val and test
        self._found: list[Defect] = []
        self._labels: dict[str, Labels] = {}  # by home
        self._here: dict[str, set[str]] = {}  # files by home, as its table names them
        for entry in self._list(""):
            self.entries[entry.file] = entry
        whole = {entry.subject for entry in self.entries.values()}
        for part in parts_of(self.root):
            for entry in self._list(part):
                self._join(entry)
        if not self.entries:
            raise DatasetError(f"{root}: no images in it; expected <subject>/*.jpg with <subject>.jpg beside it")
        self._found += checks.check_split(self._members, whole)

    def look(self, stop: Stop) -> Iterator[Look]:
        """Read every file, in worker processes."""
        open_work = partial(open_look, self.root, self._config.faces, self._config.recognizer)
        for result in run_in_workers(open_work, list(self.entries), self._config.workers, stop):
            if isinstance(result, Crash):
                yield Look(result.job, result.error.reason)
            else:
                yield result

    def judge(self, looks: list[Look]) -> dict[str, Any]:
        """Everything that was found: a document with ``defects``, ``notes``, and counts."""
        entries = self.entries
        looks = sorted(looks, key=lambda look: look.file)
        found = [*self._found, *checks.check_files(looks)]
        for home, labels in self._labels.items():
            own = [look for look in looks if entries[look.file].home == home]
            found += checks.check_labels(own, self._here[home], labels, home)
        if self._config.faces:
            found += checks.check_crops(looks, entries)
            found += checks.check_identities(looks, entries)
        found += checks.check_duplicates(looks, entries)
        wrong = [defect for defect in found if defect.code not in NOTES]
        return {
            "dataset": str(self.root),
            "subjects": len({entry.subject for entry in entries.values()}),
            "people": len({entry.person for entry in entries.values()}),
            "inputs": sum(not entry.is_target for entry in entries.values()),
            "files": len(entries),
            "parts": Counter(entry.part for entry in self._members if not entry.is_target),
            "counts": Counter(defect.code for defect in wrong),
            "defects": [defect.row() for defect in wrong],
            "notes": [defect.row() for defect in found if defect.code in NOTES],
        }

    def _list(self, home: str) -> Iterator[Entry]:
        """The files of the whole set, or of one part; what breaks the layout is noted on the way."""
        folder, at = self.root / home, f"{home}/" if home else ""
        _, faults = read_layout(folder)
        for fault in faults:
            self._found.append(Defect(fault.code, [at + file for file in fault.files], fault.detail))
        labels = self._labels[home] = self._read_labels(home)
        self._here[home] = set()
        apart = parts_of(folder)
        subjects, targets = set[str](), list[str]()
        for file in list_photos(folder)[0]:
            name, slash, _ = file.partition("/")
            if slash and name in apart:
                continue
            subject = name if slash else Path(file).stem
            if slash:
                subjects.add(subject)
            else:
                targets.append(file)
            self._here[home].add(file)
            source = labels.text("source", file)
            person = labels.text("person", file) or self._labels[""].person(file, subject)
            yaw = float(np.nan_to_num(labels.numbers("yaw", [file])[0]))
            yield Entry(at + file, subject, not slash, person, source, yaw, home, home)
        self._found += checks.check_order(sorted(subjects), targets, at)

    def _join(self, member: Entry) -> None:
        """A part's file: a link to the whole set's file only lends that one its part."""
        self._members.append(member)
        twin = self.entries.get(member.inside)
        if twin is not None:
            self.entries[twin.file] = replace(twin, part=member.part)
        if twin is None or not (self.root / twin.file).samefile(self.root / member.file):
            self.entries[member.file] = member

    def _read_labels(self, home: str) -> Labels:
        try:
            labels = read_labels(self.root / home, ("person", "sha256", "source", "yaw"))
            labels.numbers("yaw", list(labels.rows))
            return labels
        except DatasetError as error:
            self._found.append(Defect("bad-labels", [f"{home}/{LABELS}".lstrip("/")], str(error)))
            return Labels({}, {})
