"""Stage: a paired set of frontal views -> new people, each with the head of one person and parts of another's face.

A network that is trained on few people learns these by heart. Morphs give it others, with the errors of real views: the
targets of two subjects are morphed, and with the same warps the views that are aligned to them.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.pairs.config import AND, MorphConfig
from pipelines.pairs.dataset_card import write_labels_and_card
from pipelines.pairs.folders import require_apart
from pipelines.pairs.synthesize import ViewsOutput, encode_files
from pipelines.photo_jobs.job import run_photo_jobs
from pipelines.photo_jobs.landmarkers import with_border, worker_landmarker
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest
from toolkit.errors import DatasetError, PhotoError, PhotoRejected
from toolkit.faces.morph import Morph, draw_shares
from toolkit.geometry.mesh_topology import SKIN
from toolkit.photos.decode import Photo, read_photo
from toolkit.photos.types import Image
from toolkit.records.labels import Labels, read_labels
from toolkit.records.ledger import Outcome
from toolkit.records.subjects import mask_of, missing_view_part, read_pairs, unmirrored_of

MORPH_VERSION = 1  # increased when the same set gives other morphs: finished subjects are then done again
NEAR_YAW = 10.0  # degrees: inputs without a view label are of one view if their yaws are not further apart
COPIED, ANGLES = ("expression", "view"), ("yaw", "pitch", "roll")  # columns of labels.csv
CACHED = 256  # portraits of partners in a worker
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject of the set. Paths are relative to it."""

    name: str
    target: str
    person: str
    expression: str  # of the target; empty if unknown
    inputs: list[str]


@dataclass(frozen=True, slots=True)
class MorphSource:
    """What a worker process knows of the set."""

    root: Path
    subjects: dict[str, Subject]  # by the input of their job, the target
    rows: dict[str, Row]  # labels of each file that a morph of it keeps


@dataclass(frozen=True, slots=True)
class Portrait:
    """A target and its landmarks."""

    image: Image  # (S, S, 3) RGB
    landmarks: NDArray[np.float64]  # (468, 2), its pixels


@dataclass(frozen=True, slots=True)
class Partner:
    """Another person, whose face can be morphed into a subject's."""

    subject: Subject
    portrait: Portrait
    matches: list[tuple[str, list[str]]]  # inputs of the subject, each with those of the partner of the same view


def plan_morphs(dataset: Path, out: Path) -> tuple[Plan, MorphSource, str]:
    """Find the subjects of a set.

    Returns:
        The plan, one job per subject; what its workers need; a digest of the set's files and labels. Partners are drawn
        from the whole set, so all morphs are made again when it has changed.

    Raises:
        DatasetError: no set, or its inputs are no frontal views.
        ConfigError: OUT lies in the set, or contains it.
    """
    root, out = dataset.resolve(), out.resolve()
    require_apart(out, root)
    inputs: dict[str, dict[str, str]] = {}  # a.jpg and a.png have the same mask: one of them is taken
    targets = dict[str, str]()
    for pair in read_pairs(root):
        _require_view_parts(root, pair.input)
        inputs.setdefault(pair.subject, {})[Path(pair.input).stem] = pair.input
        targets[pair.subject] = pair.target
    labels = read_labels(root)
    subjects = {
        target: Subject(
            name,
            target,
            labels.person(target, name),
            labels.text("expression", target),
            list(inputs[name].values()),
        )
        for name, target in targets.items()
    }
    files = [file for one in subjects.values() for file in (one.target, *one.inputs)]
    source = MorphSource(root, subjects, _kept_labels(labels, files))
    jobs = [Job(one.target, f"{one.name}-morph") for one in subjects.values()]
    hashes = [labels.text("sha256", file) for file in files]
    settings = digest(source.rows, [(one.name, one.person) for one in subjects.values()], hashes)
    return Plan(root, out, jobs, [], Counter()), source, settings


def _require_view_parts(root: Path, file: str) -> None:
    if (missing := missing_view_part(root, file)) is not None:
        raise DatasetError(
            f"{root}: {file} has no {missing} beside it; only frontal views can be morphed: make a set with "
            "`frontalize pairs views` or `frontalize pairs synth --round-trip`, version 0.2 or newer"
        )


def _kept_labels(labels: Labels, files: list[str]) -> dict[str, Row]:
    rows: dict[str, Row] = {
        file: {column: value for column in COPIED if (value := labels.text(column, file))} for file in files
    }
    for column in ANGLES:
        for file, angle in zip(files, labels.numbers(column, files).tolist(), strict=True):
            if not math.isnan(angle):
                rows[file][column] = round(angle, 1)
    return rows


def morph_subjects(
    plan: Plan, source: MorphSource, set_digest: str, config: MorphConfig, bulk: BulkConfig, stop: Stop
) -> Iterator[Outcome]:
    """Make new subjects of each subject, then write ``labels.csv`` and the dataset card.

    Args:
        plan: from :func:`plan_morphs`.
        source: likewise.
        set_digest: likewise.
        config: number of morphs, and their format.
        bulk: how to run.
        stop: see :data:`pipelines.runtime.interrupt.Stop`.

    Raises:
        ConfigError: OUT cannot be used.
    """
    settings = digest(config, MORPH_VERSION, set_digest)
    load, encode = partial(Morphs, config, source), partial(encode_morphs, config)
    yield from run_photo_jobs(plan, load, encode, settings, bulk, stop)
    write_labels_and_card(plan, "frontalize pairs morph")


class Morphs:
    """The photo function: the new subjects of one target, first all their targets, then all their views.

    Args:
        config: number of morphs.
        source: the set.
    """

    def __init__(self, config: MorphConfig, source: MorphSource) -> None:
        self._config, self._source, self._landmarker = config, source, worker_landmarker()
        self._portrait_of = lru_cache(CACHED)(self._read_portrait)

    def __call__(self, photo: Photo, job: Job) -> ViewsOutput:
        """Return the new subjects.

        Everything random is seeded by the subject's name: it does not depend on the number of workers.

        Raises:
            PhotoRejected: ``no-face`` or ``not-square``, of the target; ``no-partner``, nobody else has such views.
            PhotoFailed: a view, or what belongs to it, is damaged.
        """
        subject, portrait = self._source.subjects[job.input], self._portrait(photo.pixels()[0])
        name = subject.name.encode(errors="surrogateescape")
        partners = self._partners(subject, np.random.default_rng([self._config.seed, *name]))
        targets, views = ViewsOutput([], []), ViewsOutput([], [])
        for number in range(self._config.per_subject):
            partner = partners[number % len(partners)]
            random = np.random.default_rng([self._config.seed, number, *name])
            self._add(targets, views, f"{job.stem}{number}", subject, portrait, partner, random)
        images, rows = targets.images + views.images, targets.faces + views.faces
        return ViewsOutput(images, rows, names=views.names, masks=views.masks, unmirrored=views.unmirrored)

    def _partners(self, subject: Subject, random: np.random.Generator) -> list[Partner]:
        """Draw other people with the same expression and views of the same kind, as many as new subjects are made."""
        everyone = list(self._source.subjects.values())
        found: list[Partner] = []
        for number in random.permutation(len(everyone)):
            other = everyone[number]
            if other.person == subject.person or subject.expression not in ("", other.expression):
                continue
            if (matches := self._matches(subject, other)) and (portrait := self._portrait_of(other.target)) is not None:
                found.append(Partner(other, portrait, matches))
                if len(found) == self._config.per_subject:
                    break
        if not found:
            shown = f"expression {subject.expression} and " if subject.expression else ""
            raise PhotoRejected("no-partner", f"nobody else in the set has {shown}views of the kind that it has")
        return found

    def _matches(self, subject: Subject, other: Subject) -> list[tuple[str, list[str]]]:
        matches = [
            (file, [theirs for theirs in other.inputs if self._same_view(file, theirs)]) for file in subject.inputs
        ]
        return [(file, theirs) for file, theirs in matches if theirs]

    def _same_view(self, one: str, other: str) -> bool:
        """Whether two inputs have the same label, or where one has none, nearly the same yaw."""
        mine, theirs = self._source.rows[one], self._source.rows[other]
        if "view" in mine and "view" in theirs:
            return bool(mine["view"] == theirs["view"])
        return "yaw" in mine and "yaw" in theirs and abs(mine["yaw"] - theirs["yaw"]) <= NEAR_YAW

    def _portrait(self, image: Image) -> Portrait:
        height, width = image.shape[:2]
        if height != width:
            raise PhotoRejected("not-square", f"{width} x {height} px; targets are square crops")
        room, border = with_border(image)
        faces = self._landmarker.find(room)
        if not faces:
            raise PhotoRejected("no-face", "none was found in the target")
        return Portrait(image, max(faces, key=lambda face: face.size).landmarks[:SKIN, :2] - border)

    def _read_portrait(self, file: str) -> Portrait | None:
        try:
            return self._portrait(read_photo(self._source.root / file))
        except PhotoError:  # it has a row of its own
            return None

    def _add(
        self,
        targets: ViewsOutput,
        views: ViewsOutput,
        name: str,
        subject: Subject,
        portrait: Portrait,
        partner: Partner,
        random: np.random.Generator,
    ) -> None:
        """Add one new subject."""
        size, person = len(portrait.image), {"person": f"{subject.person}{AND}{partner.subject.person}"}
        scale = size / len(partner.portrait.image)
        theirs = (partner.portrait.landmarks + 0.5) * scale - 0.5
        morph = Morph(portrait.landmarks, theirs, draw_shares(random), size)
        targets.images += morph.colors([portrait.image], [_resized(partner.portrait.image, size)])
        targets.faces.append(self._source.rows[subject.target] | person)
        count = min(self._config.views, len(partner.matches))
        for number in sorted(random.choice(len(partner.matches), count, replace=False)):
            file, others = partner.matches[number]
            other = others[random.integers(len(others))]
            (view, unmirrored, mask), (other_view, other_unmirrored, other_mask) = (
                [_resized(image, size) for image in self._read_view(path)] for path in (file, other)
            )
            image, without = morph.colors([view, unmirrored], [other_view, other_unmirrored])
            views.images.append(image)
            views.unmirrored.append(without)
            views.masks.append(morph.mask(mask, other_mask))
            views.names.append(f"{name}/{Path(file).stem}")
            views.faces.append(self._source.rows[file] | person)

    def _read_view(self, file: str) -> tuple[Image, Image, Image]:
        """Read a view, the unmirrored view, and the mask, (S, S).

        Raises:
            PhotoError: one of them cannot be read; the detail names it.
        """
        view, unmirrored, mask = (self._read(path) for path in (file, unmirrored_of(file), mask_of(file)))
        return view, unmirrored, mask[..., 0]

    def _read(self, file: str) -> Image:
        try:
            return read_photo(self._source.root / file)
        except PhotoError as error:
            raise type(error)(error.code, f"{file}: {error.detail}") from error


def _resized(image: Image, size: int) -> Image:
    """Resize an image of a partner, whose target may have another size, to (S, S)."""
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def encode_morphs(config: MorphConfig, job: Job, output: ViewsOutput) -> list[tuple[str, bytes]]:
    """Encode targets, views and what belongs to them; add the hash of each image to its row."""
    targets = [f"{job.stem}{number}" for number in range(config.per_subject)]
    return encode_files(config, [f"{path}.{config.format}" for path in targets + output.names], output)
