"""Stage: aligned crops with their ledger -> a paired set, one frontal target per subject."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from pipelines.pairs.config import PairsConfig
from pipelines.pairs.dataset_card import FILE_HASH, write_labels_and_card
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest, run_bulk
from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.faces.quality import row_score
from toolkit.photos.files import link_or_copy, write_atomic
from toolkit.records.ledger import Outcome, error_outcome, sorted_outcomes
from toolkit.records.subject_rules import subject_rule

VERSION = 2  # increased when the same crops give another set
_SCORED = ("yaw", "pitch", "roll", "sharpness", "eyes_open", "mouth_open")  # measurements that the score needs


@dataclass(frozen=True, slots=True)
class Crop:
    """One aligned crop, which becomes an input or a target."""

    source: str  # path of the photo in the set's ledger
    path: Path  # the crop's file
    face: dict[str, Any]  # its row in the ledger of `frontalize align`
    sha256: str  # of the photo

    @property
    def score(self) -> float:
        """Suitability as the target, 0 to 1."""
        return row_score(self.face)


def require_pairs(photos: Sequence[str], config: PairsConfig) -> None:
    """Check by their paths that photos can give a paired set, before they are aligned.

    Args:
        photos: paths relative to SRC, at least one.
        config: identities and choice of the target.

    Raises:
        ConfigError: no subject has two photos, or no photo matches the target's glob.
    """
    subject_of, counts = subject_rule(config.subjects), Counter[str]()
    for photo in photos:
        with suppress(PhotoRejected):
            counts[subject_of(photo)] += 1
    if max(counts.values(), default=0) < 2:
        raise _no_subject(config, f"{len(photos):,} photos", photos[0])
    if config.target != "auto" and not any(fnmatch(photo, config.target) for photo in photos):
        raise _no_target(config, f"{len(photos):,} photos", photos[0])


def build_pairs(
    source: Path, aligned: Path, out: Path, config: PairsConfig, overwrite: bool
) -> tuple[Plan, Iterator[Outcome]]:
    """Plan a paired set and return the plan with the outcomes of executing it.

    Args:
        source: folder that the inputs of the outcomes are relative to: the photos, or the crops themselves.
        aligned: output folder of ``frontalize align``; the same as ``source``, or made from it.
        out: root of the set.
        config: identities and choice of the target.
        overwrite: copy finished files again.

    Raises:
        ConfigError: no ledger, an invalid subject rule, no subject with two photos, or no target.
    """
    crops, refusals = _read_crops(source, aligned)
    subject_of = subject_rule(config.subjects)
    groups: dict[str, list[Crop]] = {}
    for crop in crops:
        try:
            groups.setdefault(subject_of(crop.source), []).append(crop)
        except PhotoRejected as error:
            refusals.append(error_outcome(crop.source, error))
    jobs: dict[str, tuple[Job, Crop]] = {}
    for subject, group in sorted(groups.items()):
        try:
            jobs |= {crop.source: (job, crop) for job, crop in _plan_subject(subject, group, config.target)}
        except PhotoRejected as error:
            refusals += [error_outcome(crop.source, error) for crop in group]
    if not jobs:
        explain = _no_target if any(len(group) > 1 for group in groups.values()) else _no_subject
        raise explain(config, f"{len(crops)} crops in {aligned}", crops[0].source if crops else "none")
    plan = Plan(source, out.resolve(), [job for job, _ in jobs.values()], refusals, Counter())
    return plan, _run(plan, jobs, config, overwrite)


def _no_subject(config: PairsConfig, photos: str, first: str) -> ConfigError:
    return ConfigError(
        f"--subjects {config.subjects!r} finds no subject with two photos among {photos}; the first is {first}"
    )


def _no_target(config: PairsConfig, photos: str, first: str) -> ConfigError:
    return ConfigError(
        f"--target {config.target!r} matches no photo of a subject with two photos among {photos}; "
        f"the first is {first}; use auto, or a glob for such a path, as '*frontal*'"
    )


def _read_crops(source: Path, aligned: Path) -> tuple[list[Crop], list[Outcome]]:
    """Read the crops of an aligned folder, and the photos without a crop if the set is built from the photos."""
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
            if any(face.get(measured) is None for measured in _SCORED):
                detail = "the ledger beside it has no pose for it; run `frontalize align` on the photos"
                refusals.append(error_outcome(name, PhotoRejected("no-pose", detail)))
            elif (aligned / output).exists():
                crops.append(Crop(name, aligned / output, face, row.sha256))
    return crops, refusals


def _plan_subject(subject: str, group: list[Crop], target: str) -> list[tuple[Job, Crop]]:
    """Return the place of each crop of a subject: the target beside the subject's folder, the inputs in it.

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
    names = _input_names(subject, [crop for crop in group if crop is not chosen])
    return [(Job(chosen.source, subject), chosen)] + [(Job(crop.source, name), crop) for name, crop in names.items()]


def _input_names(subject: str, crops: list[Crop]) -> dict[str, Crop]:
    """Name each input ``subject/name``: the photo's path without the subject's folder, dashes for separators."""
    names: dict[str, Crop] = {}
    for crop in crops:
        inside = os.path.splitext(crop.source.removeprefix(f"{subject}/"))[0].replace("/", "-")
        name, number = f"{subject}/{inside}", 2
        while name in names:  # a/b.jpg and a-b.jpg: sorted order makes the numbering stable
            name, number = f"{subject}/{inside}-{number}", number + 1
        names[name] = crop
    return names


def _run(plan: Plan, jobs: dict[str, tuple[Job, Crop]], config: PairsConfig, overwrite: bool) -> Iterator[Outcome]:
    settings = digest(config.subjects, config.target, VERSION)  # without `link`: links and copies are the same set

    def work(todo: Sequence[Job]) -> Iterator[Outcome]:
        for job in todo:
            yield _place(plan, job, jobs[job.input][1], settings, config.link)

    yield from run_bulk(plan, work, settings, overwrite)
    write_labels_and_card(plan, "frontalize pairs build")


def _place(plan: Plan, job: Job, crop: Crop, settings: str, link: bool) -> Outcome:
    """Link or copy one crop to its place. Working copies inside OUT are always linked."""
    started = time.monotonic()
    output = job.stem + crop.path.suffix
    try:
        data = crop.path.read_bytes()
        if link or plan.out in crop.path.parents:
            link_or_copy(crop.path, plan.out / output)
        else:
            write_atomic(plan.out / output, data)
        stat = (plan.source / job.input).stat()
    except OSError as error:
        return error_outcome(job.input, PhotoFailed("unwritable", f"{output}: {error.strerror}"))
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
