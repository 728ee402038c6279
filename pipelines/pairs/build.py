"""Stage: aligned crops with their ledger -> the subject-folder layout, one frontal target per subject."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from pipelines.pairs.config import PairsConfig
from pipelines.pairs.dataset_card import FILE_HASH, finish_set
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest, run_bulk
from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.faces.quality import row_score
from toolkit.photos.files import link_or_copy, write_whole
from toolkit.records.ledger import Outcome, refused, sorted_outcomes
from toolkit.records.subject_rules import subject_rule

VERSION = 2  # raised when the same crops would give another set
POSED = ("yaw", "pitch", "roll", "sharpness", "eyes_open", "mouth_open")  # what a face is judged by


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
        return row_score(self.face)


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
    subject_of = subject_rule(config.subjects)
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
    for row in sorted_outcomes(aligned):
        if not (source / row.input).exists() and source != aligned:
            continue  # a photo of an earlier run that is gone
        if not row.outputs and source != aligned:
            refusals.append(
                Outcome(input=row.input, status="failed" if row.status == "failed" else "rejected", reason=row.reason)
            )
        for output, face in zip(row.outputs, chain(row.faces, repeat({})), strict=False):
            name = row.input if source != aligned else output
            if any(face.get(name) is None for name in POSED):
                detail = "the ledger beside it has no pose for it; run `frontalize align` on the photos"
                refusals.append(refused(name, PhotoRejected("no-pose", detail)))
            elif (aligned / output).exists():
                crops.append(Crop(name, aligned / output, face, row.sha256))
    return crops, refusals


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
    settings = digest(config.subjects, config.target, VERSION)  # links or copies: the same set

    def work(todo: Sequence[Job]) -> Iterator[Outcome]:
        for job in todo:
            yield _place(plan, job, jobs[job.input][1], settings, config.link)

    yield from run_bulk(plan, work, settings, overwrite)
    finish_set(plan, "frontalize pairs build")


def _place(plan: Plan, job: Job, crop: Crop, settings: str, link: bool) -> Outcome:
    """Put one crop in its place: linked where it is the set's own working copy, or where that is asked for."""
    started = time.monotonic()
    output = job.stem + crop.path.suffix
    try:
        data = crop.path.read_bytes()
        if link or plan.out in crop.path.parents:
            link_or_copy(crop.path, plan.out / output)
        else:
            write_whole(plan.out / output, data)
        stat = (plan.source / job.input).stat()
    except OSError as error:
        return refused(job.input, PhotoFailed("unwritable", f"{output}: {error.strerror}"))
    return Outcome(
        input=job.input,
        sha256=crop.sha256,
        status="written",
        outputs=[output],
        faces=[crop.face | {FILE_HASH: hashlib.sha256(data).hexdigest()}],
        seconds=round(time.monotonic() - started, 4),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        settings=settings,
    )
