"""Checks of `pairs verify`: each takes what is known of the files of a paired set and yields the problems it finds."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.pairs.config import AND
from pipelines.pairs.verification.verify_worker import FileInfo
from toolkit.photos.duplicates import find_duplicate_pairs
from toolkit.records.labels import Labels

REMEDIES = {
    "orphan-target": "add its inputs, or remove the file",
    "orphan-inputs": "add its target, or remove the folder",
    "two-targets": "keep one of them",
    "unreadable": "replace or remove it; if frontalize made the set, run the command again",
    "odd-size": "resize or replace it; if frontalize made the set, run the command again",
    "wrong-crop": "align the photo again with `frontalize align`",
    "no-face": "replace the target, or remove the subject",
    "turned-target": "choose another target, as with `pairs build --target GLOB`",
    "mispaired": "rename the files back; if frontalize made the set, run the command again",
    "changed": "run the command that made the set again; if it is intended, drop the column sha256 of labels.csv",
    "missing": "run the command that made the set again, or remove the row from labels.csv",
    "unlisted": "remove the file, or add its row to labels.csv",
    "bad-labels": "repair or remove labels.csv; if frontalize made the set, run the command again",
    "duplicate": "remove one, or give both subjects one person in labels.csv if they are the same",
    "duplicate-input": "remove one of them",
    "split-person": "run `frontalize pairs split` on the whole set again",
    "split-duplicate": "run `frontalize pairs split` on the whole set again, with both as one person in labels.csv",
    "stale-split": "run `frontalize pairs split` on the whole set again",
    "mix-up": "compare both faces; move the file to the person it shows",
    "sorted-order": "pair by name, as `frontalize` does",
    "other-crop": "align the photos with `frontalize align` if models trained on its crops shall take this set",
    "mixed-sizes": "loaders resize; a set of one size trains faster",
    "same-photo": "one of the two adds nothing to training",
}
# Largest offset of eyes and chin from their median over the targets, as a share of the side.
MAX_TARGET_OFFSET, MAX_INPUT_OFFSET = 0.10, 0.17
CHIN_CROP = (0.5, 0.2, 1.0)  # the crop of `frontalize align`: x and y of the eyes, y of the chin, shares of the side
MAX_TEMPLATE_OFFSET = 0.05  # share of the side: beyond, a set follows another crop template
MAX_CROP_YAW = 45.0  # degrees: beyond, the mesh places eyes and chin too inaccurately to check a crop
MAX_TARGET_YAW = 30.0  # degrees
MAJORITY = 0.8  # share of files that one size needs to be the set's size
DIFFERENT_PERSON = 0.2  # cosine: below, two faces hardly show one person
SAME_PERSON = 0.35  # cosine: above, two faces probably show one person
SAME_FACE = 0.7  # cosine: above, two targets almost certainly show one person


@dataclass(frozen=True, slots=True)
class Entry:
    """One file and its role in the set."""

    file: str  # relative to the set
    subject: str
    is_target: bool
    person: str
    source: str = ""  # photo that it was made from, if labels.csv has it
    yaw: float = 0.0  # degrees, if labels.csv has it
    folder: str = ""  # train, val or test if the file is in that folder
    split: str = ""  # train, val or test if it belongs to that split, also through a hard link

    @property
    def name(self) -> str:
        """Path relative to the folder."""
        return self.file.removeprefix(f"{self.folder}/")

    def shares_a_face_with(self, other: "Entry") -> bool:
        """Whether one person is in both: morphs look like the people that they are made of, and like each other."""
        return not set(self.person.split(AND)).isdisjoint(other.person.split(AND))


@dataclass(frozen=True, slots=True)
class Problem:
    """A defect of the set, or a note on it."""

    code: str  # a key of REMEDIES
    files: list[str]
    detail: str

    def row(self) -> dict[str, object]:
        """Return the row of the JSON document."""
        return {"code": self.code, "files": self.files, "detail": self.detail, "way_out": REMEDIES[self.code]}


Problems = Iterable[Problem]


def check_order(subjects: Sequence[str], targets: Sequence[str], prefix: str = "") -> Problems:
    """Count the subjects that get a wrong target in tools that pair by position in sorted order.

    Args:
        subjects: folder names.
        targets: file names.
        prefix: of the subjects' paths in the set: empty, or ``train/``.
    """
    by_position = zip(sorted(subjects), sorted(targets), strict=False)
    wrong = [(subject, target) for subject, target in by_position if target.rpartition(".")[0] != subject]
    if wrong or len(subjects) != len(targets):
        count = max(len(wrong), abs(len(subjects) - len(targets)))
        first = f", the first {wrong[0][0]}/ with {wrong[0][1]}" if wrong else ""
        files = [f"{prefix}{name}/" for name, _ in wrong[:20]]
        yield Problem("sorted-order", files, f"by position {count:,} subjects would mispair{first}")


def check_files(infos: Sequence[FileInfo]) -> Problems:
    """Find unreadable files, and files whose size differs from the others."""
    for info in infos:
        if info.error:
            yield Problem("unreadable", [info.file], info.error)
    sizes = Counter(info.size for info in infos if not info.error)
    if not sizes:
        return
    usual, count = sizes.most_common(1)[0]
    if count < MAJORITY * sizes.total():
        listed = ", ".join(f"{width} x {height} ({number:,})" for (width, height), number in sizes.most_common(4))
        yield Problem("mixed-sizes", [], f"{len(sizes)} sizes: {listed}")
        return
    for info in infos:
        if not info.error and info.size != usual:
            yield Problem("odd-size", [info.file], "{} x {} px, the set has {} x {}".format(*info.size, *usual))


def check_labels(infos: Sequence[FileInfo], names: set[str], labels: Labels, folder: str) -> Problems:
    """Compare files with labels.csv: missing files, unlisted files, and files with another hash.

    Args:
        infos: files in this folder.
        names: all files of this folder relative to it, hard links included.
        labels: its labels.csv.
        folder: train, val or test; empty for the whole set.
    """
    if not labels.rows:
        return
    prefix = f"{folder}/" if folder else ""
    for name in sorted(labels.rows.keys() - names):
        yield Problem("missing", [prefix + name], f"has a row in {prefix}labels.csv and does not exist")
    for name in sorted(names - labels.rows.keys()):
        yield Problem("unlisted", [prefix + name], f"has no row in {prefix}labels.csv")
    names_of: dict[str, list[str]] = defaultdict(list)
    for name in labels.rows:
        if digest := labels.text("sha256", name):
            names_of[digest].append(name)
    for info in infos:
        expected = labels.text("sha256", info.file.removeprefix(prefix))
        if not expected or not info.sha256 or info.sha256 == expected:
            continue
        if others := [prefix + name for name in names_of.get(info.sha256, [])]:
            yield Problem("mispaired", [info.file, *others], f"has the content of {' and '.join(others)}")
        else:
            yield Problem("changed", [info.file], "differs from what was written")


def check_crops(infos: Sequence[FileInfo], entries: Mapping[str, Entry]) -> Problems:
    """Find crops whose face is not where most targets have it, and targets without a frontal face."""
    targets = [info for info in infos if entries[info.file].is_target and not info.error]
    positions = np.array([(*info.eyes, info.chin[1]) for info in targets if info.face])
    if not len(positions):
        return
    usual = np.median(positions, axis=0)
    if (offset := float(np.abs(usual - CHIN_CROP).max())) > MAX_TEMPLATE_OFFSET:
        detail = f"most faces are {offset:.0%} of the side away from where `frontalize align` puts them"
        yield Problem("other-crop", [], detail)
    for info in targets:
        if not info.face:
            yield Problem("no-face", [info.file], "no face was found in this target")
        elif abs(info.yaw) > MAX_TARGET_YAW:
            yield Problem("turned-target", [info.file], f"yaw {info.yaw:.0f} degrees; targets face the camera")
    for info in infos:
        if info.face and max(abs(info.yaw), abs(entries[info.file].yaw)) < MAX_CROP_YAW:
            offset = float(np.abs(np.array([*info.eyes, info.chin[1]]) - usual).max())
            if offset > (MAX_TARGET_OFFSET if entries[info.file].is_target else MAX_INPUT_OFFSET):
                detail = f"eyes or chin are {offset:.0%} of the side away from where most targets have them"
                yield Problem("wrong-crop", [info.file], detail)


def check_duplicates(infos: Sequence[FileInfo], entries: Mapping[str, Entry]) -> Problems:
    """Find pictures that occur twice: under two people, in two splits, or twice for one person."""
    readable = [info for info in infos if not info.error]
    for a, b in find_duplicate_pairs([info.signature for info in readable]):
        one, other = entries[readable[a].file], entries[readable[b].file]
        files, same = [one.file, other.file], readable[a].sha256 == readable[b].sha256
        what = "the same bytes" if same else "the same picture"
        if one.name == other.name and "" in (one.folder, other.folder):
            continue  # a split on a file system without hard links
        if one.split and other.split and one.split != other.split:
            yield Problem("split-duplicate", files, f"{what} in {one.split} and in {other.split}")
        elif one.person != other.person:
            if not one.shares_a_face_with(other):
                yield Problem("duplicate", files, f"{what} under {one.person} and {other.person}")
        elif one.subject == other.subject and same and not one.is_target and not other.is_target:
            yield Problem("duplicate-input", files, f"{what} twice in {one.subject}/")
        elif one.source != other.source or one.subject != other.subject:
            yield Problem("same-photo", files, f"{what} twice of {one.person}")


def check_split(entries: Iterable[Entry], subjects: set[str]) -> Problems:
    """Find people in more than one split, and splits that differ from the whole set.

    Args:
        entries: the files of the splits.
        subjects: of the whole set; empty if there is none.
    """
    folders: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    in_splits: set[str] = set()
    for entry in entries:
        if entry.split:
            folders[entry.person][entry.split].add(f"{entry.split}/{entry.subject}")
            in_splits.add(entry.subject)
    for person, splits in sorted(folders.items()):
        if len(splits) > 1:
            files = sorted(folder for some in splits.values() for folder in some)
            yield Problem("split-person", files, f"{person} is in {' and in '.join(sorted(splits))}")
    if in_splits and subjects:
        if left := sorted(subjects - in_splits):
            yield Problem("stale-split", left[:20], f"{len(left):,} subjects are in no split")
        if more := sorted(in_splits - subjects):
            yield Problem("stale-split", more[:20], f"{len(more):,} subjects of the splits are not in the set")


def check_identities(infos: Sequence[FileInfo], entries: Mapping[str, Entry]) -> Problems:
    """Find inputs that resemble another person's target and not their own, and targets of two people that are alike.

    Files without an embedding are left out, and so are comparisons of a morph with the people that it is made of.
    """
    known = [info for info in infos if info.identity is not None]
    targets = [info for info in known if entries[info.file].is_target]
    if not targets:
        return
    embeddings = np.stack([info.identity for info in targets if info.identity is not None])
    people = np.array([entries[info.file].person for info in targets])
    faces = np.array([(name.partition(AND)[0], name.rpartition(AND)[2]) for name in people.tolist()])
    for info in known:
        entry = entries[info.file]
        cosines = embeddings @ np.asarray(info.identity)
        own = cosines[people == entry.person]
        others = np.where(np.isin(faces, entry.person.split(AND)).any(axis=1), -1.0, cosines)
        best = int(np.argmax(others))
        if entry.is_target:
            if others[best] > SAME_FACE and entry.file < targets[best].file:
                yield Problem("duplicate", [entry.file, targets[best].file], f"one face, cosine {others[best]:.2f}")
        elif len(own) and own.max() < DIFFERENT_PERSON and others[best] > SAME_PERSON:
            detail = f"cosine {own.max():.2f} to its own target, {others[best]:.2f} to {targets[best].file}"
            yield Problem("mix-up", [entry.file, targets[best].file], detail)
