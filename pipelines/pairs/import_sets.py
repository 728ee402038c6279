"""Stage: a published dataset -> a paired set, with everything that its file names and tables say as labels.

Two passes, each with a ledger of its own. The first makes a crop of every photo in ``OUT/.aligned``. The second links
the crops to their places, since only then is it known which photos are usable and which subjects have a target.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.pairs.config import ImportConfig, KnownSet
from pipelines.pairs.dataset_card import write_labels_and_card
from pipelines.pairs.importers import celeba, cfp, london, multipie
from pipelines.pairs.importers.crop_worker import CROPS_VERSION, ImportedCrops, encode_import
from pipelines.pairs.importers.importer import Importer, Item, Listing
from pipelines.photo_jobs.job import run_photo_jobs
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest, run_bulk
from toolkit.errors import ConfigError, PhotoFailed, PhotoRejected
from toolkit.faces.quality import row_score
from toolkit.photos.files import link_or_copy
from toolkit.records.ledger import Outcome, error_outcome, sorted_outcomes

IMPORTERS: dict[KnownSet, Importer] = {
    "multipie": multipie.IMPORTER,
    "cfp": cfp.IMPORTER,
    "celeba": celeba.IMPORTER,
    "london": london.IMPORTER,
}
CROPS = ".aligned"  # inside the set: its files are links to these, and a later run starts from them
_MAX_NAMES = 3  # in an error message


def plan_import(photos: Plan, config: ImportConfig) -> tuple[Plan, Listing]:
    """Read the names and tables of a published dataset.

    Args:
        photos: all photos of SRC, mirrored onto ``OUT/.aligned``.
        config: which dataset it is.

    Returns:
        The plan of the crops, and the listing of their photos.

    Raises:
        ConfigError: no photo has a name of that dataset, or a table cannot be read.
    """
    names = [job.input for job in photos.jobs]
    importer = IMPORTERS[config.kind]
    listing = importer.list_photos(photos.source, names, config)
    if not listing.items:
        first = ", ".join(names[:_MAX_NAMES])
        raise ConfigError(
            f"SRC {photos.source}: none of its {len(names):,} photos is {importer.path_pattern}; "
            f"the first are {first}; is this {config.kind}, and the right folder?"
        )
    wanted = {item.photo for item in listing.items}
    jobs = [job for job in photos.jobs if job.input in wanted]
    return Plan(photos.source, photos.out, jobs, photos.refused + listing.refused, photos.ignored), listing


def make_crops(plan: Plan, config: ImportConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """First pass: make a crop of every photo of the plan, or take over the photo if it is a crop already.

    Raises:
        ConfigError: OUT cannot be used.
    """
    settings = digest(config.kind, config.size, config.align, config.format, config.quality, CROPS_VERSION)
    load = partial(ImportedCrops, plan.source, IMPORTERS[config.kind], config)
    return run_photo_jobs(plan, load, partial(encode_import, config), settings, bulk, stop)


@dataclass(frozen=True, slots=True)
class _Crop:
    """The crop of one photo, from the first pass."""

    item: Item
    path: Path  # the crop's file
    sha256: str  # of the photo
    face: dict[str, Any]  # for ledger and labels.csv: measurements, replaced by the dataset's labels if it has any

    @property
    def score(self) -> float:
        return row_score(self.face)


def place_crops(
    crops: Plan, listing: Listing, out: Path, config: ImportConfig, overwrite: bool
) -> tuple[Plan, Iterator[Outcome]]:
    """Second pass: link every crop to its place, then write ``labels.csv`` and the dataset card.

    Args:
        crops: plan of the first pass.
        listing: of its photos.
        out: root of the set.
        config: as for the first pass.
        overwrite: link finished crops again.

    Returns:
        The plan, and the outcomes of executing it. Rejected are photos without a crop, and subjects with a target or
        inputs only: ``no-target``, ``single-photo``.
    """
    usable, refusals = _read_crops(crops, listing)
    groups: dict[str, list[_Crop]] = {}
    for crop in usable:
        groups.setdefault(crop.item.subject, []).append(crop)
    placed: dict[str, tuple[_Crop, list[str]]] = {}
    for subject, group in groups.items():
        try:
            placed |= {crop.item.photo: (crop, stems) for crop, stems in _plan_subject(subject, group)}
        except PhotoRejected as error:
            refusals += [error_outcome(crop.item.photo, error) for crop in group]
    jobs = [Job(photo, stems[0]) for photo, (_, stems) in placed.items()]
    plan = Plan(crops.source, out, jobs, refusals, crops.ignored)
    return plan, _run(plan, placed, digest(config, listing.tables, CROPS_VERSION), config, overwrite)


def _read_crops(crops: Plan, listing: Listing) -> tuple[list[_Crop], list[Outcome]]:
    items = {item.photo: item for item in listing.items}
    planned = {job.input for job in crops.jobs} | {outcome.input for outcome in crops.refused}
    usable: list[_Crop] = []
    refusals: list[Outcome] = []
    for row in sorted_outcomes(crops.out):
        if row.input not in planned:
            continue  # a photo of an earlier run that is gone
        if row.outputs:
            item, [output], [face] = items[row.input], row.outputs, row.faces
            usable.append(_Crop(item, crops.out / output, row.sha256, face | item.labels))
        else:
            error = PhotoFailed if row.status == "failed" else PhotoRejected  # skipped ones were rejected earlier
            code, _, detail = row.reason.partition(": ")
            refusals.append(error_outcome(row.input, error(code, detail), sha256=row.sha256))
    return usable, refusals


def _plan_subject(subject: str, group: list[_Crop]) -> list[tuple[_Crop, list[str]]]:
    """Return the places of each crop of a subject, without suffix: beside the subject's folder, in it, or both.

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


def _run(
    plan: Plan, placed: dict[str, tuple[_Crop, list[str]]], settings: str, config: ImportConfig, overwrite: bool
) -> Iterator[Outcome]:
    def work(todo: Sequence[Job]) -> Iterator[Outcome]:
        for job in todo:
            yield _place(plan, *placed[job.input], settings)

    yield from run_bulk(plan, work, settings, overwrite)
    write_labels_and_card(plan, f"frontalize pairs import {config.kind}")


def _place(plan: Plan, crop: _Crop, stems: list[str], settings: str) -> Outcome:
    started = time.monotonic()
    outputs = [stem + crop.path.suffix for stem in stems]
    try:
        for output in outputs:
            link_or_copy(crop.path, plan.out / output)
        stat = (plan.source / crop.item.photo).stat()
    except OSError as error:
        return error_outcome(crop.item.photo, PhotoFailed("unwritable", f"{', '.join(outputs)}: {error.strerror}"))
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
