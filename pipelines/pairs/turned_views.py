"""Stage: real photos of turned heads -> a paired set whose inputs are their frontal views, for training the refiner.

Which photo belongs to which target is known from a paired set of the same photos, made by `pairs import` or
`pairs build`. The views are drawn from the photos and not from that set's crops, which cut off hair and neck.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.pairs.config import ViewsConfig
from pipelines.pairs.dataset_card import write_labels_and_card
from pipelines.pairs.folders import require_apart
from pipelines.pairs.round_trip import RoundTrip
from pipelines.pairs.synthesize import VIEWS_VERSION, ViewsOutput, cut_head, encode_files
from pipelines.photo_jobs.job import run_photo_jobs
from pipelines.photo_jobs.views import VIEW_VERSION, ViewLandmarker
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import DatasetError, PhotoRejected
from toolkit.faces.face import Face
from toolkit.geometry.crop import crop_matrix
from toolkit.photos.decode import Photo
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image
from toolkit.records.labels import read_labels
from toolkit.records.ledger import Outcome, sorted_outcomes
from toolkit.records.subjects import read_pairs
from toolkit.views.backdrop import draw_backdrop, replace_backdrop

COPIED = ("person", "expression", "view", "age", "sex", "ethnicity")  # columns of labels.csv
Row = dict[str, Any]


def plan_views(photos: Plan, dataset: Path) -> tuple[Plan, dict[str, Row]]:
    """Find the photos of a paired set.

    Args:
        photos: all photos of SRC.
        dataset: the paired set; its labels.csv names the photo of each file.

    Returns:
        The plan: each photo with its place in the new set. Its labels, by photo.

    Raises:
        DatasetError: no set, or none of its photos is in SRC.
        ConfigError: OUT lies in the set, or contains it.
    """
    require_apart(photos.out.resolve(), dataset.resolve())
    labels, places, rows = read_labels(dataset), dict[str, str](), dict[str, Row]()
    files = {file for pair in read_pairs(dataset) for file in (pair.input, pair.target)}
    for file in sorted(files):
        photo = labels.text("source", file)
        places[photo] = str(Path(file).with_suffix(""))
        rows[photo] = {column: value for column in COPIED if (value := labels.text(column, file))}
    jobs = [Job(job.input, places[job.input]) for job in photos.jobs if job.input in places]
    if not jobs:
        raise DatasetError(
            f"{dataset}: none of its {len(files):,} files was made from a photo in {photos.source}; "
            "give the folder from which the set was made"
        )
    return Plan(photos.source, photos.out, jobs, [], photos.ignored), rows


def draw_turned_views(
    plan: Plan, rows: dict[str, Row], config: ViewsConfig, bulk: BulkConfig, stop: Stop
) -> Iterator[Outcome]:
    """Align each target, draw the views of each input; then write ``labels.csv`` and the dataset card.

    A target without any view, and views without their target, are removed at the end.

    Args:
        plan: from :func:`plan_views`.
        rows: likewise.
        config: size, number and degradation of the views.
        bulk: how to run.
        stop: see :data:`pipelines.runtime.interrupt.Stop`.

    Raises:
        ConfigError: OUT cannot be used.
    """
    settings = digest(config, VIEWS_VERSION, VIEW_VERSION)
    load, encode = partial(TurnedViews, config, rows), partial(encode_turned, config)
    yield from run_photo_jobs(plan, load, encode, settings, bulk, stop)
    write_labels_and_card(plan if stop() else _remove_unpaired(plan), "frontalize pairs views")


def _remove_unpaired(plan: Plan) -> Plan:
    """Delete the files of subjects whose target or whose inputs were all rejected; return the plan without these."""
    written = {row.input: row.outputs for row in sorted_outcomes(plan.out) if row.outputs}
    roles = defaultdict[str, set[bool]](set)
    for job in plan.jobs:
        if job.input in written:
            roles[job.stem.partition("/")[0]].add("/" in job.stem)
    jobs = []
    for job in plan.jobs:
        if len(roles[job.stem.partition("/")[0]]) != 1 or job.input not in written:
            jobs.append(job)
            continue
        for name in written[job.input]:
            (plan.out / name).unlink(missing_ok=True)
    return replace(plan, jobs=jobs)


class TurnedViews:
    """The photo function: the aligned crop of a target, the frontal views of an input. Loads the landmark models.

    Args:
        config: size, number and degradation of the views.
        rows: labels of each photo.
    """

    def __init__(self, config: ViewsConfig, rows: dict[str, Row]) -> None:
        self._config, self._rows, self._landmarker = config, rows, ViewLandmarker()
        self._round_trip = RoundTrip(config.degrade, real=True)

    def __call__(self, photo: Photo, job: Job) -> ViewsOutput:
        """Return a target's crop, or an input's views.

        Raises:
            PhotoRejected: no face, or ``bad-mesh``: no view could be drawn.
        """
        [crop] = align_photo(photo, self._landmarker.landmarker, AlignConfig(size=self._config.size))
        row = crop.ledger_row() | self._rows[job.input]
        is_target, size = "/" not in job.stem, self._config.size
        if is_target and not self._config.new_backdrop:
            return ViewsOutput([crop.image], [row])
        head, found = cut_head(photo, crop)
        if self._config.new_backdrop:
            head = replace_backdrop(head, found.landmarks, self._backdrop_of(job))
        if is_target:
            return ViewsOutput([warp_crop(head, crop_matrix(found.landmarks, size), size)], [row])
        return self._views(head, found, row, job)

    def _backdrop_of(self, job: Job) -> NDArray[np.uint8]:
        """Draw the colors behind a subject, the same for its target and its inputs."""
        subject = job.stem.partition("/")[0].encode(errors="surrogateescape")
        return draw_backdrop(np.random.default_rng([self._config.seed, 2, *subject]))

    def _views(self, head: Image, found: Face, row: Row, job: Job) -> ViewsOutput:
        config, output = self._config, ViewsOutput([], [])
        face = self._landmarker.refined(head, found)
        random = np.random.default_rng([config.seed, *job.stem.encode(errors="surrogateescape")])
        for number in range(config.variants):
            if (view := self._round_trip(head, face, config.size, random)) is not None:
                output.add_view(view)
                output.names.append(f"{number:03d}")
                output.faces.append(dict(row))
        if not output.images:
            raise PhotoRejected("bad-mesh", "none of its views could be drawn")
        return output


def encode_turned(config: ViewsConfig, job: Job, output: ViewsOutput) -> list[tuple[str, bytes]]:
    """Encode the crop, or the views and what belongs to them; add the hash of each file to its row."""
    paths = [f"{job.stem}-{name}.{config.format}" for name in output.names] or [f"{job.stem}.{config.format}"]
    return encode_files(config, paths, output)
