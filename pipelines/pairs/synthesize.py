"""Stage: near-frontal photos -> a paired set: each photo is a target, its rotated views are the inputs."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pipelines.pairs.config import SynthConfig
from pipelines.pairs.dataset_card import FILE_HASH, write_labels_and_card
from pipelines.pairs.round_trip import RoundTrip
from pipelines.photo_jobs.job import PhotoOutput, run_photo_jobs
from pipelines.photo_jobs.landmarkers import worker_landmarker
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.image_writer import OutputFormat, encode_output
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.run import digest
from toolkit.crops.align import AlignConfig, AlignedCrop, align_photo
from toolkit.errors import PhotoRejected
from toolkit.faces.depth_jitter import draw_depth_offsets
from toolkit.faces.face import Face
from toolkit.faces.quality import sharpness
from toolkit.faces.shape_model import HEAD_HALF_SIDE, PIVOT, head_coordinates
from toolkit.geometry.affine import matrix_scale
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo
from toolkit.photos.files import encode_image
from toolkit.photos.resample import crop_photo, warp_crop
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome
from toolkit.records.subject_rules import subject_rule
from toolkit.records.subjects import view_parts_of
from toolkit.views.frontal import FrontalView
from toolkit.views.rotate import Light, RotatableHead

VIEWS_VERSION = 7  # increased when the same photo gives other views: finished photos are then processed again
SUPERSAMPLING = 1.25  # resolution at which heads are rotated, relative to the crop's, which is resampled from it


def synthesize_pairs(plan: Plan, config: SynthConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Rotate the head of every photo of a plan, then write ``labels.csv`` and the dataset card.

    Yields one outcome per photo; its target is the first output.

    Raises:
        ConfigError: OUT cannot be used.
    """
    settings = digest(config, VIEWS_VERSION)
    yield from run_photo_jobs(plan, partial(RotatedViews, config), partial(encode_views, config), settings, bulk, stop)
    write_labels_and_card(plan, "frontalize pairs synth")


def as_subjects(plan: Plan) -> Plan:
    """Make each photo a subject of its own, all in one folder as the layout asks: ``a/b.jpg`` becomes ``a-b``."""
    jobs, taken = [], set[str]()
    for job in plan.jobs:
        name, number = job.stem.replace("/", "-"), 2
        while name in taken:  # a/b.jpg and a-b.jpg: sorted order makes the numbering stable
            name, number = f"{job.stem.replace('/', '-')}-{number}", number + 1
        taken.add(name)
        jobs.append(Job(job.input, name))
    return Plan(plan.source, plan.out, jobs, plan.refused, plan.ignored)


@dataclass(slots=True)
class ViewsOutput(PhotoOutput):
    """The target, then the views, with their names."""

    names: list[str] = field(default_factory=list)  # of the views, without suffix
    masks: list[Image] = field(default_factory=list)  # visibility of each view, after a round trip
    unmirrored: list[Image] = field(default_factory=list)  # likewise, each view without mirroring

    def add_view(self, view: FrontalView) -> None:
        """Add the view of a round trip."""
        image, mask, unmirrored = view.network_inputs
        self.images.append(image)
        self.masks.append(mask)
        self.unmirrored.append(unmirrored)


class RotatedViews:
    """The photo function: the aligned photo, and its head rotated to every pose. Loads the landmark models."""

    def __init__(self, config: SynthConfig) -> None:
        self._config, self._landmarker = config, worker_landmarker()
        self._round_trip = RoundTrip(config.degrade) if config.round_trip else None
        self._person_of = subject_rule(config.subjects) if config.subjects else None

    def __call__(self, photo: Photo, job: Job) -> ViewsOutput:
        """Return the target and its views.

        Raises:
            PhotoRejected: the photo is no target, or the round trip of every view failed (``bad-mesh``).
        """
        config = self._config
        person = {"person": self._person_of(job.input)} if self._person_of else {}
        crop, pixels, face = _target_and_head(photo, self._landmarker, config)
        target = crop.ledger_row()
        output = ViewsOutput([crop.image], [target | person])
        random = np.random.default_rng([config.seed, 1, *job.stem.encode(errors="surrogateescape")])
        depths = draw_depth_offsets(random, config.depth_jitter) if config.depth_jitter else None
        head = RotatableHead(pixels, face, depths)
        for pose in draw_poses(config, job.stem):
            view = head.view(*pose)
            if self._round_trip is None:
                output.images.append(warp_crop(view.image, crop_matrix(view.landmarks, config.size), config.size))
            elif (
                returned := self._round_trip(view.image, Face(view.landmarks, None), config.size, random)
            ) is not None:
                output.add_view(returned)
            else:
                continue
            output.names.append(_name(*pose))
            output.faces.append(_row(target, *pose) | person)
        if len(output.images) == 1:
            raise PhotoRejected("bad-mesh", "the round trip failed for all of its views")
        return output


def encode_views(config: SynthConfig, job: Job, output: ViewsOutput) -> list[tuple[str, bytes]]:
    """Encode the target and the views, then what belongs to them; add the hash of each file to its row."""
    suffix = f".{config.format}"
    paths = [f"{job.stem}{suffix}", *(f"{job.stem}/{name}{suffix}" for name in output.names)]
    return encode_files(config, paths, output)


def encode_files(config: OutputFormat, paths: list[str], output: ViewsOutput) -> list[tuple[str, bytes]]:
    """Encode images to these paths, then what belongs to the last ones; add the hash of each image to its row."""
    files = [(path, encode_output(image, config)) for path, image in zip(paths, output.images, strict=True)]
    for (_, data), row in zip(files, output.faces, strict=True):
        row[FILE_HASH] = hashlib.sha256(data).hexdigest()
    views = paths[len(paths) - len(output.masks) :]
    for path, mask, unmirrored in zip(views, output.masks, output.unmirrored, strict=True):
        parts = encode_image(mask, ".png"), encode_output(unmirrored, config)
        files += zip(view_parts_of(path), parts, strict=True)
    return files


def _target_and_head(photo: Photo, landmarker: Landmarker, config: SynthConfig) -> tuple[AlignedCrop, Image, Face]:
    """Cut the aligned crop, and the head as :func:`cut_head` does.

    Raises:
        PhotoRejected: ``turned``, ``blurred`` or ``small-face``, or as :func:`toolkit.crops.align.align_photo` says.
    """
    [crop] = align_photo(photo, landmarker, AlignConfig(size=config.size))
    pose, sharp = crop.pose, sharpness(crop.image)
    if abs(pose.yaw) > config.max_turn or abs(pose.pitch) > config.max_turn + 10:
        raise PhotoRejected("turned", f"yaw {pose.yaw:.0f}, pitch {pose.pitch:.0f}; --max-turn is {config.max_turn:g}")
    if sharp < config.min_sharpness:
        raise PhotoRejected("blurred", f"sharpness {sharp:.0f}, below --min-sharpness {config.min_sharpness:g}")
    if (enlarged := matrix_scale(crop.matrix)) > config.max_enlarged:
        raise PhotoRejected("small-face", f"would be enlarged {enlarged:.1f} times, above {config.max_enlarged:g}")
    return crop, *cut_head(photo, crop)


def cut_head(photo: Photo, crop: AlignedCrop) -> tuple[Image, Face]:
    """Cut the head of an aligned face, with room around it, at about the crop's resolution.

    Returns:
        (H, H, 3) RGB, and the face in its pixels.
    """
    _, rotation, scale, origin = head_coordinates(crop.face.landmarks)
    wanted = min(SUPERSAMPLING * matrix_scale(crop.matrix), 1.0)
    middle = (scale * rotation @ PIVOT + origin)[:2]
    side = round(2 * HEAD_HALF_SIDE * scale * wanted)
    matrix = np.column_stack([np.eye(2) * wanted, (side - 1) / 2 - middle * wanted])
    landmarks = crop.face.landmarks * wanted
    landmarks[:, :2] = crop.face.landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return crop_photo(photo, matrix, side), Face(landmarks, crop.face.score)


def draw_poses(config: SynthConfig, name: str) -> list[tuple[float, float, Light | None]]:
    """Return the poses of one photo: the grid, or ``per_photo`` drawn uniformly from its span, seeded by the name."""
    random = np.random.default_rng([config.seed, *name.encode(errors="surrogateescape")])
    if config.per_photo is None:
        poses = [(yaw, pitch) for yaw in config.yaws for pitch in config.pitches]
    else:
        spans = [(min(span), max(span)) for span in (config.yaws, config.pitches)]
        poses = [tuple(random.uniform(*span) for span in spans) for _ in range(config.per_photo)]  # type: ignore[misc]
    lights = [(random.uniform(-90, 90), random.uniform(0, config.light)) if config.light else None for _ in poses]
    return [(yaw, pitch, light) for (yaw, pitch), light in zip(poses, lights, strict=True)]


def _name(yaw: float, pitch: float, light: Light | None) -> str:
    lit = "" if light is None else f"_light{light[0]:+06.1f}"
    return f"yaw{yaw:+06.1f}_pitch{pitch:+06.1f}{lit}"


def _row(own: dict[str, Any], yaw: float, pitch: float, light: Light | None) -> dict[str, Any]:
    """Return the row of a view, derived from its target's; the pose is exact."""
    pose = {"yaw": round(own["yaw"] + yaw, 1), "pitch": round(own["pitch"] + pitch, 1), "roll": own["roll"]}
    lit = {} if light is None else {"light": round(light[0], 1), "light_strength": round(light[1], 2)}
    return pose | lit | {"box": own["box"], "score": own["score"], "matrix": own["matrix"]}
