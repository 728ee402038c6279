"""Stage: a paired set -> its problems, each with file names and a remedy."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.pairs.config import VerifyConfig
from pipelines.pairs.verification import checks
from pipelines.pairs.verification.checks import Entry, Problem
from pipelines.pairs.verification.verify_worker import FileInfo, FileInspector
from pipelines.photo_jobs.device_networks import networks_on
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import DatasetError
from toolkit.identity.recognizer import Recognizer
from toolkit.photos.files import list_photos
from toolkit.records.labels import LABELS, Labels, read_labels
from toolkit.records.subjects import find_splits, read_layout

NOTES = frozenset({"sorted-order", "other-crop", "mixed-sizes", "same-photo"})  # reported, but no failure


class Verification:
    """Verify a paired set: list its files, then :meth:`inspect` each of them, then :meth:`summarize`.

    Files of splits that are hard links to files of the whole set are inspected once.

    Args:
        root: of the set, with or without splits.
        config: which checks are made.

    Attributes:
        entries: the files to inspect, by path.

    Raises:
        DatasetError: no such folder, or no images in it.
        ConfigError: the recognizer cannot be used.
    """

    def __init__(self, root: Path, config: VerifyConfig) -> None:
        self.root, self._config = root.resolve(), config
        self.entries: dict[str, Entry] = {}
        self._members: list[Entry] = []  # files of the splits
        self._problems: list[Problem] = []
        self._labels: dict[str, Labels] = {}  # by folder: train, val, test; empty for the whole set
        self._names: dict[str, set[str]] = {}  # files by folder, relative to it
        for entry in self._list(""):
            self.entries[entry.file] = entry
        subjects = {entry.subject for entry in self.entries.values()}
        for split in find_splits(self.root):
            for entry in self._list(split):
                self._add_member(entry)
        if not self.entries:
            raise DatasetError(f"{root}: no images in it; expected <subject>/*.jpg with <subject>.jpg beside it")
        self._problems += checks.check_split(self._members, subjects)
        if config.recognizer is not None:
            Recognizer(config.recognizer)  # raises ConfigError here, before worker processes load it

    def inspect(self, stop: Stop) -> Iterator[FileInfo]:
        """Read every file, in worker processes.

        Raises:
            ConfigError: the device is not there.
        """
        config = self._config
        load = partial(FileInspector, self.root, config.faces, config.recognizer)
        with networks_on(config.device if config.faces else "cpu", load) as load_there:
            for result in run_in_workers(load_there, FileInspector.inspect, list(self.entries), config.workers, stop):
                yield FileInfo(result.job, result.error.reason) if isinstance(result, Crash) else result

    def summarize(self, infos: list[FileInfo]) -> dict[str, Any]:
        """Run all checks; return the JSON document with ``defects``, ``notes`` and counts."""
        entries = self.entries
        infos = sorted(infos, key=lambda info: info.file)
        found = [*self._problems, *checks.check_files(infos)]
        for folder, labels in self._labels.items():
            inside = [info for info in infos if entries[info.file].folder == folder]
            found += checks.check_labels(inside, self._names[folder], labels, folder)
        if self._config.faces:
            found += checks.check_crops(infos, entries)
            found += checks.check_identities(infos, entries)
        found += checks.check_duplicates(infos, entries)
        defects = [problem for problem in found if problem.code not in NOTES]
        return {
            "dataset": str(self.root),
            "subjects": len({entry.subject for entry in entries.values()}),
            "people": len({entry.person for entry in entries.values()}),
            "inputs": sum(not entry.is_target for entry in entries.values()),
            "files": len(entries),
            "parts": Counter(entry.split for entry in self._members if not entry.is_target),
            "counts": Counter(problem.code for problem in defects),
            "defects": [problem.row() for problem in defects],
            "notes": [problem.row() for problem in found if problem.code in NOTES],
        }

    def _list(self, folder: str) -> Iterator[Entry]:
        """Yield the files of the whole set (""), or of a split; record violations of the layout."""
        root, prefix = self.root / folder, f"{folder}/" if folder else ""
        _, faults = read_layout(root)
        for fault in faults:
            self._problems.append(Problem(fault.code, [prefix + file for file in fault.files], fault.detail))
        labels = self._labels[folder] = self._read_labels(folder)
        self._names[folder] = set()
        splits = find_splits(root)
        subjects, targets = set[str](), list[str]()
        for name in list_photos(root)[0]:
            first, slash, _ = name.partition("/")
            if slash and first in splits:
                continue
            subject = first if slash else Path(name).stem
            if slash:
                subjects.add(subject)
            else:
                targets.append(name)
            self._names[folder].add(name)
            source = labels.text("source", name)
            person = labels.text("person", name) or self._labels[""].person(name, subject)
            yaw = float(np.nan_to_num(labels.numbers("yaw", [name])[0]))
            yield Entry(prefix + name, subject, not slash, person, source, yaw, folder, folder)
        self._problems += checks.check_order(sorted(subjects), targets, prefix)

    def _add_member(self, member: Entry) -> None:
        """Add a file of a split. If it is a hard link to a file of the whole set, only that file gets the split."""
        self._members.append(member)
        original = self.entries.get(member.name)
        if original is not None:
            self.entries[original.file] = replace(original, split=member.split)
        if original is None or not (self.root / original.file).samefile(self.root / member.file):
            self.entries[member.file] = member

    def _read_labels(self, folder: str) -> Labels:
        try:
            labels = read_labels(self.root / folder, ("person", "sha256", "source", "yaw"))
            labels.numbers("yaw", list(labels.rows))
            return labels
        except DatasetError as error:
            self._problems.append(Problem("bad-labels", [f"{folder}/{LABELS}".lstrip("/")], str(error)))
            return Labels({}, {})
