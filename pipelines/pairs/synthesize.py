"""Stage: ordinary near-frontal photos -> a paired set: each photo is a target, its turned views are the inputs."""

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.pairs.config import SynthConfig
from pipelines.pairs.dataset_card import FILE_HASH, finish_set
from pipelines.pairs.round_trip import ReturnTrip
from pipelines.photo_jobs.job import cut_photo, spread
from pipelines.photo_jobs.landmarkers import open_quiet_landmarker
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.image_writer import write_output
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest, run_bulk
from toolkit.crops.align import AlignConfig, AlignedCrop, align_photo
from toolkit.errors import PhotoError, PhotoRejected
from toolkit.faces.depth_jitter import draw_depths
from toolkit.faces.face import Face, Landmarker
from toolkit.faces.quality import sharpness
from toolkit.faces.shape_model import HEAD_HALF, PIVOT, head_coordinates
from toolkit.geometry.affine import magnification
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.finder import FindConfig
from toolkit.photos.decode import Photo
from toolkit.photos.files import encode_image
from toolkit.photos.resample import cut, cut_from
from toolkit.records.ledger import Outcome
from toolkit.records.subject_rules import subject_rule
from toolkit.records.subjects import mask_of
from toolkit.views.rotate import Light, TurnableHead

VERSION = 3  # raised when the same photo would give other views: finished ones are then done again
FINER = 1.25  # resolution at which heads are turned, of the crop's: the crop is resampled from it once more
Image = NDArray[np.uint8]
Rows = list[dict[str, Any]]


def synthesize_pairs(plan: Plan, config: SynthConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Turn every photo of a plan; one outcome per photo, its target the first output, then ``labels.csv``.

    Raises:
        ConfigError: OUT cannot be used.
    """
    settings = digest(config, VERSION)
    open_work = partial(_open_work, plan.source, plan.out, config, settings)
    yield from run_bulk(plan, spread(open_work, bulk, stop), settings, bulk.overwrite)
    finish_set(plan, "frontalize pairs synth")


def as_subjects(plan: Plan) -> Plan:
    """The same photos, each a subject of its own, side by side as the layout asks: ``a/b.jpg`` becomes ``a-b``."""
    jobs, taken = [], set[str]()
    for job in plan.jobs:
        name, number = job.stem.replace("/", "-"), 2
        while name in taken:  # a/b.jpg and a-b.jpg: sorted order makes the numbering stable
            name, number = f"{job.stem.replace('/', '-')}-{number}", number + 1
        taken.add(name)
        jobs.append(Job(job.input, name))
    return Plan(plan.source, plan.out, jobs, plan.refused, plan.passed_over)


def _open_work(source: Path, out: Path, config: SynthConfig, settings: str) -> Callable[[Job], Outcome]:
    landmarker = open_quiet_landmarker(FindConfig())
    once = FindConfig(retries=False, steady=False)  # ReturnTrip steadies meshes itself
    back = ReturnTrip(open_quiet_landmarker(once), config.wear) if config.frontalized else None
    person_of = subject_rule(config.subjects) if config.subjects else None

    def work(job: Job) -> Outcome:
        names: list[str] = []
        masks: list[Image] = []

        def cutter(photo: Photo) -> tuple[list[Image], Rows]:
            person = {"person": person_of(job.input)} if person_of else {}
            crop, pixels, face = _gated(photo, landmarker, config)
            images, own = [crop.image], crop.ledger_row()
            random = np.random.default_rng([config.seed, 1, *job.stem.encode()])
            depths = draw_depths(random, config.relief) if config.relief else None
            rows, head = [own], TurnableHead(pixels, face, depths)
            names.append("")
            for pose in draw_poses(config, job.stem):
                view = head.view(*pose)
                if back is None:
                    images.append(cut(view.image, crop_matrix(view.landmarks, config.size), config.size))
                elif (returned := back(view, config.size, random)) is not None:
                    images.append(returned[0])
                    masks.append(returned[1])
                else:
                    continue
                names.append(_name(*pose))
                rows.append(_row(own, *pose))
            if len(images) == 1:
                raise PhotoRejected("bad-mesh", "not one of its turned views could be brought back")
            return images, [row | person for row in rows]

        photo = cut_photo(source, job, cutter)
        try:
            if photo.error is not None:
                raise photo.error
            suffix = f".{config.format}"
            outputs = [f"{job.stem}/{name}{suffix}" if name else f"{job.stem}{suffix}" for name in names]
            for output, image, row in zip(outputs, photo.crops, photo.faces, strict=True):
                data = encode_image(image, suffix, config.quality)
                row[FILE_HASH] = hashlib.sha256(data).hexdigest()
                write_output(out / output, data)
            for output, mask in zip(outputs[1:], masks, strict=False):
                outputs.append(mask_of(output))
                write_output(out / outputs[-1], encode_image(mask, ".png"))
            return photo.outcome(outputs, settings)
        except PhotoError as error:
            return photo.refusal(error, settings)

    return work


def _gated(photo: Photo, landmarker: Landmarker, config: SynthConfig) -> tuple[AlignedCrop, Image, Face]:
    """The aligned crop, and the head with room around it in about the crop's resolution.

    Raises:
        PhotoRejected: ``turned``, ``blurred`` or ``small-face``, or as :func:`toolkit.crops.align.align_photo` says.
    """
    [crop] = align_photo(photo, landmarker, AlignConfig(size=config.size))
    pose, sharp = crop.pose, sharpness(crop.image)
    if abs(pose.yaw) > config.max_turn or abs(pose.pitch) > config.max_turn + 10:
        raise PhotoRejected("turned", f"yaw {pose.yaw:.0f}, pitch {pose.pitch:.0f}; --max-turn is {config.max_turn:g}")
    if sharp < config.min_sharpness:
        raise PhotoRejected("blurred", f"sharpness {sharp:.0f}, below --min-sharpness {config.min_sharpness:g}")
    if (enlarged := magnification(crop.matrix)) > config.max_enlarged:
        raise PhotoRejected("small-face", f"would be enlarged {enlarged:.1f} times, above {config.max_enlarged:g}")
    _, rotation, scale, origin = head_coordinates(crop.face.landmarks)
    wanted = min(FINER * magnification(crop.matrix), 1.0)
    middle = (scale * rotation @ PIVOT + origin)[:2]
    side = round(2 * HEAD_HALF * scale * wanted)
    matrix = np.column_stack([np.eye(2) * wanted, (side - 1) / 2 - middle * wanted])
    landmarks = crop.face.landmarks * wanted
    landmarks[:, :2] = crop.face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return crop, cut_from(photo, matrix, side), Face(landmarks, crop.face.score)


def draw_poses(config: SynthConfig, name: str) -> list[tuple[float, float, Light | None]]:
    """The poses of one photo: the whole grid, or so many drawn evenly from its span; the same for the same name."""
    random = np.random.default_rng([config.seed, *name.encode()])
    if config.per_photo is None:
        poses = [(yaw, pitch) for yaw in config.yaws for pitch in config.pitches]
    else:
        spans = [(min(span), max(span)) for span in (config.yaws, config.pitches)]
        poses = [tuple(random.uniform(*span) for span in spans) for _ in range(config.per_photo)]  # type: ignore[misc]
    lamps = [(random.uniform(-90, 90), random.uniform(0, config.light)) if config.light else None for _ in poses]
    return [(yaw, pitch, lamp) for (yaw, pitch), lamp in zip(poses, lamps, strict=True)]


def _name(yaw: float, pitch: float, light: Light | None) -> str:
    lit = "" if light is None else f"_light{light[0]:+06.1f}"
    return f"yaw{yaw:+06.1f}_pitch{pitch:+06.1f}{lit}"


def _row(own: dict[str, Any], yaw: float, pitch: float, light: Light | None) -> dict[str, Any]:
    """A view's row, from that of its target; the pose is the true one."""
    pose = {"yaw": round(own["yaw"] + yaw, 1), "pitch": round(own["pitch"] + pitch, 1), "roll": own["roll"]}
    lit = {} if light is None else {"light": round(light[0], 1), "light_strength": round(light[1], 2)}
    return pose | lit | {"box": own["box"], "score": own["score"], "matrix": own["matrix"]}
