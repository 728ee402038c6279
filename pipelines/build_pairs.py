"""Stage: aligned crops with their ledger -> the subject-folder layout, one frontal target per subject."""

import csv
import io
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pipelines.bulk import digest, run_bulk
from pipelines.configs import PairsConfig
from pipelines.plan import Job, Plan
from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.geometry import Pose
from toolkit.images import write_whole
from toolkit.ledger import Outcome, read_ledger, refused
from toolkit.quality import target_score

LABELS = "labels.csv"


@dataclass(frozen=True, slots=True)
class Crop:
    """One aligned crop that may become an input or a target."""

    source: str  # the photo, as the set's ledger will name it
    path: Path  # the crop's file
    face: dict[str, Any]  # as align's ledger has it
    sha256: str

    @property
    def score(self) -> float:
        """How fit it is to be the target, 0 to 1."""
        face = self.face
        pose = Pose(face["yaw"], face["pitch"], face["roll"])
        return target_score(pose, face["sharpness"], face["eyes_open"], face["mouth_open"])


def build_pairs(
    source: Path, aligned: Path, out: Path, config: PairsConfig, overwrite: bool
) -> tuple[Plan, Iterator[Outcome]]:
    """Plan a paired set, and the outcomes of carrying the plan out.

    Args:
        source: the folder that the outcomes' inputs are relative to: the photos, or the crops themselves.
        aligned: the crops, as ``frontalize align`` left them; the same as source, or made from it.
        out: root of the set.
        config: who is who, and which photo is the target.
        overwrite: copy finished files again.

    Raises:
        ConfigError: no ledger, a subject rule that does not work, or no subject with two photos.
    """
    crops, refusals = _read_crops(source, aligned)
    subject_of = _subject_rule(config.subjects)
    groups: dict[str, list[Crop]] = {}
    for crop in crops:
        try:
            groups.setdefault(subject_of(crop.source), []).append(crop)
        except PhotoRejected as error:
            refusals.append(refused(crop.source, error))
    jobs: dict[str, tuple[Job, Crop]] = {}
    for subject, group in sorted(groups.items()):
        try:
            jobs |= {crop.source: (job, crop) for job, crop in _lay_out(subject, group, config.target)}
        except PhotoRejected as error:
            refusals += [refused(crop.source, error) for crop in group]
    if not jobs:
        raise ConfigError(
            f"--subjects {config.subjects!r} finds no subject with two photos among {len(crops)} crops in {aligned}; "
            f"the first is {crops[0].source if crops else 'none'}"
        )
    plan = Plan(source, out.resolve(), [job for job, _ in jobs.values()], refusals, Counter())
    return plan, _carry_out(plan, jobs, config, overwrite)


def _read_crops(source: Path, aligned: Path) -> tuple[list[Crop], list[Outcome]]:
    """Every crop of an aligned folder; and the photos that gave none, where the set is built from the photos."""
    crops: list[Crop] = []
    refusals: list[Outcome] = []
    for row in sorted(read_ledger(aligned), key=lambda row: row.input.split("/")):
        if not (source / row.input).exists() and source != aligned:
            continue  # a photo of an earlier run that is gone
        if not row.outputs and source != aligned:
            refusals.append(
                Outcome(input=row.input, status="failed" if row.status == "failed" else "rejected", reason=row.reason)
            )
        for output, face in zip(row.outputs, row.faces or [{}] * len(row.outputs), strict=True):
            name = row.input if source != aligned else output
            if "sharpness" not in face:
                detail = "the ledger beside it has no pose for it; run `frontalize align` on the photos"
                refusals.append(refused(name, PhotoRejected("no-pose", detail)))
            elif (aligned / output).exists():
                crops.append(Crop(name, aligned / output, face, row.sha256))
    return crops, refusals


def _subject_rule(subjects: str) -> Callable[[str], str]:
    """A function from a photo's path to its subject; it raises PhotoRejected ``no-subject``."""
    if subjects == "folders":
        return _subject_by_folder
    if subjects.endswith(".csv"):
        return _subject_by_table(Path(subjects))
    try:
        pattern = re.compile(subjects)
    except re.error as error:
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
        raise PhotoRejected("no-subject", "the photo lies in no subject's folder")
    return subject


def _subject_by_table(path: Path) -> Callable[[str], str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = {row["file"]: row["subject"] for row in csv.DictReader(file)}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
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
    """A subject as a folder's name: no separators, not hidden."""
    return re.sub(r"[/\\]", "-", subject).lstrip(".") or "-"


def _lay_out(subject: str, group: list[Crop], target: str) -> list[tuple[Job, Crop]]:
    """Where each crop of a subject goes: one beside the folder, the others inside.

    Raises:
        PhotoRejected: ``single-photo``, or ``no-target``: no path matches the glob.
    """
    if len(group) < 2:
        raise PhotoRejected("single-photo", f"{subject} has one usable photo; a pair needs two")
    if target == "auto":
        chosen = max(group, key=lambda crop: crop.score)
    elif not (matching := [crop for crop in group if fnmatch(crop.source, target)]):
        raise PhotoRejected("no-target", f"no photo of {subject} matches --target {target!r}")
    else:
        chosen = matching[0]
    names = _names_inside(subject, [crop for crop in group if crop is not chosen])
    return [(Job(chosen.source, subject), chosen)] + [(Job(crop.source, name), crop) for name, crop in names.items()]


def _names_inside(subject: str, crops: list[Crop]) -> dict[str, Crop]:
    """``subject/name`` for each: the photo's path without the subject's folder, its separators as dashes."""
    names: dict[str, Crop] = {}
    for crop in crops:
        inside = os.path.splitext(crop.source.removeprefix(f"{subject}/"))[0].replace("/", "-")
        name, number = f"{subject}/{inside}", 2
        while name in names:  # a/b.jpg and a-b.jpg: sorted order makes the numbering stable
            name, number = f"{subject}/{inside}-{number}", number + 1
        names[name] = crop
    return names


def _carry_out(
    plan: Plan, jobs: dict[str, tuple[Job, Crop]], config: PairsConfig, overwrite: bool
) -> Iterator[Outcome]:
    settings = digest(config)

    def work(todo: Sequence[Job]) -> Iterator[Outcome]:
        for job in todo:
            yield _place(plan, job, jobs[job.input][1], settings)

    yield from run_bulk(plan, work, settings, overwrite)
    write_whole(plan.out / LABELS, _labels(jobs))


def _place(plan: Plan, job: Job, crop: Crop, settings: str) -> Outcome:
    """Put one crop in its place: as a link where it is the set's own working copy, else as a copy."""
    started = time.monotonic()
    output = job.stem + crop.path.suffix
    try:
        if plan.out in crop.path.parents:
            write_whole(plan.out / output, lambda partial: _link_or_copy(crop.path, partial))
        else:
            write_whole(plan.out / output, crop.path.read_bytes())
        stat = (plan.source / job.input).stat()
    except OSError as error:
        return refused(job.input, PhotoFailed("unwritable", f"{output}: {error.strerror}"))
    return Outcome(
        input=job.input,
        sha256=crop.sha256,
        status="written",
        outputs=[output],
        faces=[crop.face],
        seconds=round(time.monotonic() - started, 4),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        settings=settings,
    )


def _link_or_copy(path: Path, partial: Path) -> None:
    """A hard link where the disk knows them (many external ones do not), else a copy."""
    partial.unlink(missing_ok=True)  # a killed run may have left it, and a link overwrites nothing
    try:
        partial.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, partial)


def _labels(jobs: dict[str, tuple[Job, Crop]]) -> str:
    """The set's table: one row per file, with its pose in degrees."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["file", "subject", "role", "yaw", "pitch", "roll", "source"])
    for job, crop in jobs.values():
        subject, slash, _ = job.stem.partition("/")
        pose = [crop.face[angle] for angle in ("yaw", "pitch", "roll")]
        table.writerow([job.stem + crop.path.suffix, subject, "input" if slash else "target", *pose, crop.source])
    return buffer.getvalue()
