"""What can be wrong with a paired set: each check takes what is known of the files and names those that break it."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.pairs.verify_worker import Look
from toolkit.photos.duplicates import near_pairs
from toolkit.records.labels import Labels

WAYS_OUT = {
    "orphan-target": "add its inputs, or remove the file",
    "orphan-inputs": "add its target, or remove the folder",
    "two-targets": "keep one of them",
    "unreadable": "replace or remove it; for sets of ours, run the command that made it again",
    "odd-size": "resize or replace it; for sets of ours, run the command that made it again",
    "wrong-crop": "align the photo again with `frontalize align`",
    "no-face": "replace the target, or remove the subject",
    "turned-target": "choose another target, as with `pairs build --target GLOB`",
    "mispaired": "give each its own name back; for sets of ours, run the command that made it again",
    "changed": "run the command that made the set again; if the change is meant, drop the column sha256 of labels.csv",
    "missing": "run the command that made the set again, or remove the row from labels.csv",
    "unlisted": "remove the file, or add its row to labels.csv",
    "bad-labels": "mend or remove labels.csv; for sets of ours, run the command that made it again",
    "duplicate": "remove one, or give both subjects one person in labels.csv if they are the same",
    "duplicate-input": "remove one of them",
    "split-person": "run `frontalize pairs split` on the whole set again",
    "split-duplicate": "run `frontalize pairs split` on the whole set again, the two as one person",
    "stale-split": "run `frontalize pairs split` on the whole set again",
    "mix-up": "look at both faces; move the file to the person it shows",
    "sorted-order": "pair by name, as `frontalize` does",
    "other-crop": "align the photos with `frontalize align` if models trained on its crops shall take this set",
    "mixed-sizes": "loaders resize; a set of one size trains faster",
    "same-photo": "one of the two teaches nothing",
}
TARGET_OFF, INPUT_OFF = 0.10, 0.17  # of the side: how far eyes or chin may lie from where most targets have them
OURS = (0.5, 0.2, 1.0)  # the chin crop: eyes' x and y, chin's y
FOREIGN = 0.05  # so far from OURS, a set follows another template
PROFILE = 45.0  # degrees: beyond, the mesh places eyes and chin too loosely to judge a crop by
TURNED = 30.0  # degrees: no target
UNIFORM = 0.8  # share of files that makes one size the set's size
STRANGER, KIN = 0.2, 0.35  # cosines: below the first hardly the same person, above the second likely


@dataclass(frozen=True, slots=True)
class Entry:
    """One file's place in the set."""

    file: str  # relative to the set
    subject: str
    is_target: bool
    person: str
    source: str = ""  # the photo it was made from, where the table says so
    yaw: float = 0.0  # degrees, where the table says so
    home: str = ""  # train, val or test, where it lies in that folder
    part: str = ""  # train, val or test, where it belongs to that part, be it by a link

    @property
    def inside(self) -> str:
        """The file as its own home names it."""
        return self.file.removeprefix(f"{self.home}/")


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong, or worth knowing."""

    code: str  # a key of WAYS_OUT
    files: list[str]
    detail: str

    def row(self) -> dict[str, object]:
        """For a program."""
        return {"code": self.code, "files": self.files, "detail": self.detail, "way_out": WAYS_OUT[self.code]}


Found = Iterable[Defect]


def check_order(subjects: Sequence[str], targets: Sequence[str], at: str = "") -> Found:
    """How many subjects would get another one's face where pairs are made by position, as earlier systems do."""
    by_position = zip(sorted(subjects), sorted(targets), strict=False)
    wrong = [(subject, target) for subject, target in by_position if target.rpartition(".")[0] != subject]
    if wrong or len(subjects) != len(targets):
        count = max(len(wrong), abs(len(subjects) - len(targets)))
        first = f", the first {wrong[0][0]}/ with {wrong[0][1]}" if wrong else ""
        files = [f"{at}{name}/" for name, _ in wrong[:20]]
        yield Defect("sorted-order", files, f"by position {count:,} subjects would mispair{first}")


def check_files(looks: Sequence[Look]) -> Found:
    """Files that cannot be read, and those of another size than the rest."""
    for look in looks:
        if look.error:
            yield Defect("unreadable", [look.file], look.error)
    sizes = Counter(look.size for look in looks if not look.error)
    if not sizes:
        return
    usual, count = sizes.most_common(1)[0]
    if count < UNIFORM * sizes.total():
        said = ", ".join(f"{width} x {height} ({number:,})" for (width, height), number in sizes.most_common(4))
        yield Defect("mixed-sizes", [], f"{len(sizes)} sizes: {said}")
        return
    for look in looks:
        if not look.error and look.size != usual:
            yield Defect("odd-size", [look.file], "{} x {} px, the set has {} x {}".format(*look.size, *usual))


def check_labels(looks: Sequence[Look], here: set[str], labels: Labels, home: str) -> Found:
    """Files against their table: gone, not in it, or not what was written under their name.

    Args:
        looks: files that lie in this home.
        here: all files of this home, links included, as the table names them.
        labels: the table.
        home: train, val, test; empty for the whole set.
    """
    if not labels.rows:
        return
    at = f"{home}/" if home else ""
    for file in sorted(labels.rows.keys() - here):
        yield Defect("missing", [at + file], f"has a row in {at}labels.csv and is not there")
    for file in sorted(here - labels.rows.keys()):
        yield Defect("unlisted", [at + file], f"has no row in {at}labels.csv")
    written: dict[str, list[str]] = defaultdict(list)
    for file in labels.rows:
        if digest := labels.text("sha256", file):
            written[digest].append(file)
    for look in looks:
        expected = labels.text("sha256", look.file.removeprefix(at))
        if not expected or not look.sha256 or look.sha256 == expected:
            continue
        if others := [at + file for file in written.get(look.sha256, [])]:
            yield Defect("mispaired", [look.file, *others], f"holds what was written as {' and '.join(others)}")
        else:
            yield Defect("changed", [look.file], "is not what was written")


def check_crops(looks: Sequence[Look], entries: Mapping[str, Entry]) -> Found:
    """Faces that do not lie where the set's faces lie, and targets that are none."""
    targets = [look for look in looks if entries[look.file].is_target and not look.error]
    placed = np.array([(*look.eyes, look.chin[1]) for look in targets if look.face])
    if not len(placed):
        return
    usual = np.median(placed, axis=0)
    if (off := float(np.abs(usual - OURS).max())) > FOREIGN:
        yield Defect("other-crop", [], f"most faces lie {off:.0%} of the side from where `frontalize align` puts them")
    for look in targets:
        if not look.face:
            yield Defect("no-face", [look.file], "a target without a face that can be found")
        elif abs(look.yaw) > TURNED:
            yield Defect("turned-target", [look.file], f"yaw {look.yaw:.0f} degrees; targets face the camera")
    for look in looks:
        if look.face and max(abs(look.yaw), abs(entries[look.file].yaw)) < PROFILE:
            away = float(np.abs(np.array([*look.eyes, look.chin[1]]) - usual).max())
            if away > (TARGET_OFF if entries[look.file].is_target else INPUT_OFF):
                yield Defect("wrong-crop", [look.file], f"eyes or chin lie {away:.0%} of the side from their place")


def check_duplicates(looks: Sequence[Look], entries: Mapping[str, Entry]) -> Found:
    """Photos that are in the set twice: of two people, of two parts, or for nothing."""
    good = [look for look in looks if not look.error]
    for a, b in near_pairs([look.signature for look in good]):
        one, other = entries[good[a].file], entries[good[b].file]
        files, same = [one.file, other.file], good[a].sha256 == good[b].sha256
        said = "the same bytes" if same else "the same picture"
        if one.inside == other.inside and "" in (one.home, other.home):
            continue  # a divided set on a disk without hard links
        if one.part and other.part and one.part != other.part:
            yield Defect("split-duplicate", files, f"{said} in {one.part} and in {other.part}")
        elif one.person != other.person:
            yield Defect("duplicate", files, f"{said} under {one.person} and {other.person}")
        elif one.subject == other.subject and same and not one.is_target and not other.is_target:
            yield Defect("duplicate-input", files, f"{said} twice in {one.subject}/")
        elif one.source != other.source or one.subject != other.subject:
            yield Defect("same-photo", files, f"{said} twice of {one.person}")


def check_split(entries: Iterable[Entry], whole: set[str]) -> Found:
    """People in more than one part; parts that are not what the set is today.

    Args:
        entries: all files, those of the parts included.
        whole: subjects of the undivided set; empty where there is none.
    """
    folders: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    divided: set[str] = set()
    for entry in entries:
        if entry.part:
            folders[entry.person][entry.part].add(f"{entry.part}/{entry.subject}")
            divided.add(entry.subject)
    for person, parts in sorted(folders.items()):
        if len(parts) > 1:
            files = sorted(folder for some in parts.values() for folder in some)
            yield Defect("split-person", files, f"{person} is in {' and in '.join(sorted(parts))}")
    if divided and whole:
        if left := sorted(whole - divided):
            yield Defect("stale-split", left[:20], f"{len(left):,} subjects are in no part")
        if more := sorted(divided - whole):
            yield Defect("stale-split", more[:20], f"{len(more):,} subjects of the parts are not in the set")


def check_identities(looks: Sequence[Look], entries: Mapping[str, Entry]) -> Found:
    """By a recogniser: inputs that look like somebody else's target and hardly like their own."""
    known = [look for look in looks if look.identity is not None]
    targets = [look for look in known if entries[look.file].is_target]
    if not targets:
        return
    described = np.stack([look.identity for look in targets if look.identity is not None])
    people = np.array([entries[look.file].person for look in targets])
    for look in known:
        entry = entries[look.file]
        alike = described @ np.asarray(look.identity)
        own = alike[people == entry.person]
        others = np.where(people == entry.person, -1.0, alike)
        best = int(np.argmax(others))
        if entry.is_target:
            if others[best] > 2 * KIN and entry.file < targets[best].file:
                yield Defect("duplicate", [entry.file, targets[best].file], f"the same face, cosine {others[best]:.2f}")
        elif len(own) and own.max() < STRANGER and others[best] > KIN:
            said = f"cosine {own.max():.2f} to its own target, {others[best]:.2f} to {targets[best].file}"
            yield Defect("mix-up", [entry.file, targets[best].file], said)
