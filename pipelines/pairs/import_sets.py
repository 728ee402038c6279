"""Stage: a data set that others made -> the subject-folder layout, with all that its names and tables say as labels.

Two passes, each with a ledger of its own. The first makes a crop of every photo in ``OUT/.aligned``; the second links
the crops to their places, since only then is it known which photos are usable and who has a target.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.dataset_card import finish_set
from pipelines.pairs.importers import celeba, cfp, multipie
from pipelines.pairs.importers.crop_worker import VERSION, open_foreign_work
from pipelines.pairs.importers.listing import Item, Listing
from pipelines.photo_jobs.job import spread
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest, run_bulk
from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.faces.quality import row_score
from toolkit.photos.files import link_or_copy
from toolkit.records.ledger import Outcome, refused, sorted_outcomes

CROPS = ".aligned"  # inside the set: its files are links to these, and a later run starts from them
_SHOWN = 3  # names in the error that no name fits


def plan_import(photos: Plan, config: ImportConfig) -> tuple[Plan, Listing]:
    """Read the foreign set's names and tables.

    Args:
        photos: all photos of SRC, mirrored onto ``OUT/.aligned``.
        config: which set it is.

    Returns:
        The plan of the crops, and what is known of their photos.

    Raises:
        ConfigError: no photo has a name of that set, or a table cannot be read.
    """
    names = [job.input for job in photos.jobs]
    if config.kind == "multipie":
        listing, form = multipie.list_multipie(names, config.light), multipie.FORM
    elif config.kind == "cfp":
        listing, form = cfp.list_cfp(names), cfp.FORM
    else:
        listing, form = celeba.list_celeba(photos.source, names), celeba.FORM
    if not listing.items:
        first = ", ".join(names[:_SHOWN])
        raise ConfigError(
            f"SRC {photos.source}: none of its {len(names):,} photos is {form}; the first are {first}; "
            f"is this {config.kind}, and the right folder?"
        )
    wanted = {item.photo for item in listing.items}
    jobs = [job for job in photos.jobs if job.input in wanted]
    return Plan(photos.source, photos.out, jobs, photos.refused + listing.refused, photos.passed_over), listing


def cut_crops(plan: Plan, config: ImportConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """First pass: a crop of every photo of the plan, or the photo itself where it is one already.

    Raises:
        ConfigError: OUT cannot be used.
    """
    settings = digest(config.kind, config.size, config.align, config.format, config.quality, VERSION)
    open_work = partial(open_foreign_work, plan.source, plan.out, config, settings)
    return run_bulk(plan, spread(open_work, bulk, stop), settings, bulk.overwrite)


@dataclass(frozen=True, slots=True)
class _Crop:
    """What the first pass made of an item's photo."""

    item: Item
    path: Path  # the crop's file
    sha256: str  # of the photo
    face: dict[str, Any]  # for the ledger and the labels: as measured, the set's own word over it

    @property
    def score(self) -> float:
        return row_score(self.face)


def lay_out(
    crops: Plan, listing: Listing, out: Path, config: ImportConfig, overwrite: bool
) -> tuple[Plan, Iterator[Outcome]]:
    """Second pass: every crop to its place, then ``labels.csv`` and the card.

    Args:
        crops: as the first pass did it.
        listing: of its photos.
        out: root of the set.
        config: as for the first pass.
        overwrite: place finished crops again.

    Returns:
        The plan, and the outcomes of carrying it out. Refused are the photos without a crop, and subjects with one
        side of a pair alone: ``no-target``, ``single-photo``.
    """
    usable, refusals = _read_crops(crops, listing)
    groups: dict[str, list[_Crop]] = {}
    for crop in usable:
        groups.setdefault(crop.item.subject, []).append(crop)
    placed: dict[str, tuple[_Crop, list[str]]] = {}
    for subject, group in groups.items():
        try:
            placed |= {crop.item.photo: (crop, stems) for crop, stems in _places(subject, group)}
        except PhotoRejected as error:
            refusals += [refused(crop.item.photo, error) for crop in group]
    jobs = [Job(photo, stems[0]) for photo, (_, stems) in placed.items()]
    plan = Plan(crops.source, out, jobs, refusals, crops.passed_over)
    return plan, _carry_out(plan, placed, digest(config, listing.tables, VERSION), config, overwrite)


def _read_crops(crops: Plan, listing: Listing) -> tuple[list[_Crop], list[Outcome]]:
    items = {item.photo: item for item in listing.items}
    here = {job.input for job in crops.jobs} | {outcome.input for outcome in crops.refused}
    usable: list[_Crop] = []
    refusals: list[Outcome] = []
    for row in sorted_outcomes(crops.out):
        if row.input not in here:
            continue  # a photo of an earlier run that is gone
        if row.outputs:
            item, [output], [face] = items[row.input], row.outputs, row.faces
            usable.append(_Crop(item, crops.out / output, row.sha256, face | item.labels))
        else:
            error = PhotoFailed if row.status == "failed" else PhotoRejected  # what was skipped, was rejected before
            code, _, detail = row.reason.partition(": ")
            refusals.append(refused(row.input, error(code, detail), sha256=row.sha256))
    return usable, refusals


def _places(subject: str, group: list[_Crop]) -> list[tuple[_Crop, list[str]]]:
    """Where each crop of a subject goes, without suffix: beside its folder, into it, or both.

    Raises:
        PhotoRejected: ``no-target`` or ``single-photo``.
    """
    if group[0].item.role == "both":
        return [(crop, [subject, f"{subject}/{crop.item.name}"]) for crop in group]
    targets = [crop for crop in group if crop.item.role == "target"]
    targets = targets or sorted((crop for crop in group if crop.item.role == "candidate"), key=lambda crop: -crop.score)
    if not targets:
        raise PhotoRejected("no-target", f"{subject} has no frontal photo in which a face was found")
    if len(group) == 1:
        raise PhotoRejected("single-photo", f"{subject} has one usable photo, its target; a pair needs two")
    inputs = [(crop, [f"{subject}/{crop.item.name}"]) for crop in group if crop is not targets[0]]
    return [(targets[0], [subject]), *inputs]


def _carry_out(
    plan: Plan, placed: dict[str, tuple[_Crop, list[str]]], settings: str, config: ImportConfig, overwrite: bool
) -> Iterator[Outcome]:
    def work(todo: Sequence[Job]) -> Iterator[Outcome]:
        for job in todo:
            yield _place(plan, *placed[job.input], settings)

    yield from run_bulk(plan, work, settings, overwrite)
    finish_set(plan, f"frontalize pairs import {config.kind}")


def _place(plan: Plan, crop: _Crop, stems: list[str], settings: str) -> Outcome:
    started = time.monotonic()
    outputs = [stem + crop.path.suffix for stem in stems]
    try:
        for output in outputs:
            link_or_copy(crop.path, plan.out / output)
        stat = (plan.source / crop.item.photo).stat()
    except OSError as error:
        return refused(crop.item.photo, PhotoFailed("unwritable", f"{', '.join(outputs)}: {error.strerror}"))
    return Outcome(
        input=crop.item.photo,
        sha256=crop.sha256,
        status="written",
        outputs=outputs,
        faces=[crop.face] * len(outputs),
        seconds=round(time.monotonic() - started, 4),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        settings=settings,
    )
