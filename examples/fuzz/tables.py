"""Readers of tables, names and option texts."""

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import numpy as np

from examples.fuzz.isolation import Target
from pipelines.commands.terminal.arguments import parse_angles, parse_shard, valid_max_rejects
from pipelines.pairs.config import ImportConfig, PairsConfig, SynthConfig
from pipelines.pairs.importers.celeba import list_celeba
from pipelines.pairs.importers.cfp import crop_cfp
from pipelines.pairs.importers.importer import Listing
from pipelines.pairs.importers.london import list_london
from pipelines.pairs.importers.multipie import list_multipie
from pipelines.photo_jobs.job import PhotoOutput, process_photo
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.plan import Job
from toolkit.errors import ConfigError, FrontalizeError, PhotoRejected
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.subject_rules import subject_rule

Prepared = tuple[Target, Sequence[bytes]]
TEXTS = (
    b'"',
    b'""',
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"../",
    b"/etc/x",
    b"nan",
    b"inf",
    b"-1",
    b"1e999",
)
NUMBERS = (*TEXTS, b"9" * 30, b"9e99", b"1e308", b",nan\n", b"\ninf,", b"0x1", b"1_0", "٣".encode(), b" ", b"-0")
PATTERNS = (*TEXTS, b"(", b")", b"(?P<subject>", b"{99999999999}", b"[", b"\\", b"(?i)", b"(?<=", b"((((", b"*")
PHOTOS = ("a/1.jpg", "a/2.jpg", "ü b/é\n.png", "c.jpg", "000001.jpg", "000002.png")
_ATTRIBUTES = b"2\nSmiling Male\n000001.jpg -1 1\n000002.jpg 1 -1\n"
_PARTITION, _IDENTITY = b"000001.jpg 0\n000002.jpg 2\n", b"000001.jpg 2880\n000002.jpg 17\n"
_BETWEEN = b"\n=====\n"  # of the three tables of CelebA in one input
PEOPLE = (
    b"face_id,face_age,face_sex,face_eth\nX001,31,female,white\nX002,,male,\n",
    b'\xef\xbb\xbfid,age,sex,ethnicity\n001,31,female,"west, asian"\n2,30,male,black\n',
)
LONDON = (
    "neutral_front/001_03.jpg",
    "neutral_left_profile/001_04.jpg",
    "002_smiling.jpg",
    "002_smiling_right_3quarter.jpg",
)
MULTIPIE = "\n".join(
    f"{person:03}_01_01_{camera}_{light:02}.png"
    for person in (1, 2)
    for camera in ("051", "130", "081")
    for light in (7, 19)
).encode()


def subject_table(box: Path) -> Prepared:
    """``--subjects FILE.csv``: no name leads out of the set."""

    def read(data: bytes) -> str:
        (box / "who.csv").write_bytes(data)
        return f"{_subjects(str(box / 'who.csv'))} names"

    seed = "file,subject\na/1.jpg,ann\na/2,ann b\nü b/é.png,../x\nc.jpg,.hid\n"
    return read, [seed.encode(), b'subject,file,x\n"ann","a/1.jpg",1\n', "\ufefffile,subject\nc.jpg,é\n".encode()]


def subject_pattern(box: Path) -> Prepared:
    """``--subjects PATTERN``."""
    return lambda data: f"{_subjects(data.decode(errors='surrogateescape'))} names", [
        rb"^(\w+)/",
        rb"(?P<subject>[^/_]+)_\d{1,3}",
        b"folders",
        rb"([a-c]|\d{6})",
        rb"^(?:.*/)?(\w)\w*\.(?:jpg|png)$",
    ]


def _subjects(rule: str) -> int:
    PairsConfig(subjects=rule)
    named = 0
    subject_of = subject_rule(rule)
    for photo in PHOTOS:
        with suppress(PhotoRejected):
            name = subject_of(photo)
            if "/" in name or "\0" in name or name.startswith(".") or not name:
                raise AssertionError(f"subject {name!r}")
            named += 1
    return named


def celeba(box: Path) -> Prepared:
    """The three tables of CelebA."""

    def read(data: bytes) -> str:
        for name, table in zip(
            ("list_attr_celeba", "list_eval_partition", "identity_CelebA"), data.split(_BETWEEN, 2), strict=False
        ):
            (box / f"{name}.txt").write_bytes(table)
        return _listed(list_celeba(box, PHOTOS, ImportConfig(kind="celeba")))

    commas = [
        part.replace(b" ", b",") for part in (b"image_id Smiling\n000001.jpg 1\n", b"image_id partition\n" + _PARTITION)
    ]
    return read, [_BETWEEN.join((_ATTRIBUTES, _PARTITION, _IDENTITY)), _BETWEEN.join((*commas, _IDENTITY))]


def london(box: Path) -> Prepared:
    """The table of the London Set's people."""

    def read(data: bytes) -> str:
        (box / "people.csv").write_bytes(data)
        return _listed(list_london(box, LONDON, ImportConfig(kind="london")))

    return read, PEOPLE


def multipie(box: Path) -> Prepared:
    """Names as those of Multi-PIE and of the London Set."""

    def read(data: bytes) -> str:
        names = data.decode(errors="surrogateescape").splitlines()
        return _listed(list_multipie(box, names, ImportConfig(kind="multipie")))

    return read, [MULTIPIE, MULTIPIE.replace(b".png", b"_crop_128.jpg")]


def _listed(listing: Listing) -> str:
    for item in listing.items:
        parts = PurePosixPath(item.subject, item.name)
        if ".." in parts.parts or parts.is_absolute() or "/" in item.subject or "/" in item.name:
            raise AssertionError(f"{item} leads out")
    return f"{min(9, len(listing.items))} photos"


class _NoFace:
    def find(self, photo: Image, every: bool = False) -> list[object]:
        return []


def cfp(box: Path) -> Prepared:
    """The fiducials beside the profiles of CFP, to the crop that follows from them."""
    (box / "1" / "profile").mkdir(parents=True)
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (box / "1" / "profile" / "01.jpg").write_bytes(encode_image(photo, ".jpg"))
    finder: Landmarker = _NoFace()  # type: ignore[assignment]

    def cut(photo: Photo, job: Job) -> PhotoOutput:
        image, row = crop_cfp(photo, box, job.input, finder, 32)
        return PhotoOutput([image], [row])

    def read(data: bytes) -> str:
        (box / "1" / "profile" / "01.txt").write_bytes(data)
        done = process_photo(box, cut, Job("1/profile/01.jpg", "1/profile/01"))
        row = done.required_output().faces[0]
        numbers = [row["yaw"], row["roll"], *row["box"], *(value for line in row["matrix"] for value in line)]
        if not all(map(math.isfinite, numbers)):
            raise AssertionError(f"{row}")
        return "cropped"

    points = np.random.default_rng(1).uniform(0, 64, (30, 2))
    return read, [
        "\n".join(f"{x:.2f},{y:.2f}" for x, y in points).encode(),
        "\n".join(f"{x:.0f},{y:e}" for x, y in points).encode(),
    ]


def options(box: Path) -> Prepared:
    """Texts of options: each is tried as each of them."""
    tries: list[Callable[[str], object]] = [
        lambda text: BulkConfig(workers=1, shard=parse_shard(text)),
        lambda text: SynthConfig(yaws=parse_angles(text)),
        valid_max_rejects,
        lambda text: BulkConfig(device=text),
        lambda text: PairsConfig(subjects="folders", target=text),
    ]

    def read(data: bytes) -> str:
        accepted = 0
        for one in tries:
            with suppress(FrontalizeError):
                one(data.decode(errors="surrogateescape"))
                accepted += 1
        return f"{accepted} options"

    return read, [b"0/4", b"-75:75:15", b"-30,0,30", b"5%", b"20", b"cuda:1", b"*frontal*", b"1e2"]


def settings(box: Path) -> Prepared:
    """``--set key=value`` of every recipe."""
    from pipelines.train.config import RECIPE_NAMES, TrainConfig
    from pipelines.train.recipes.registry import recipe_settings

    recipes = {name: asdict(recipe_settings(TrainConfig(dataset="x", recipe=name))) for name in RECIPE_NAMES}  # type: ignore[call-overload]

    def read(data: bytes) -> str:
        text = data.decode(errors="surrogateescape")
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: must be key=value")
        for name, known in recipes.items():
            if key in known:
                recipe_settings(TrainConfig(dataset="x", recipe=name, settings={key: value}))
        return "set" if any(key in known for known in recipes.values()) else "unknown"

    pairs = {key: value for known in recipes.values() for key, value in known.items()}
    seeds = [
        f"{key}={','.join(map(str, value)) if isinstance(value, tuple) else value}".encode()
        for key, value in pairs.items()
    ]
    return read, seeds


def run_config(box: Path) -> Prepared:
    """A run's config.json, read when the run is resumed."""
    from pipelines.train.run_folder import CONFIG, METRICS, Metrics, require_same_config

    record = {
        "dataset": "/x",
        "recipe": "scaleway",
        "steps": 3,
        "recipe_config": {"l1_weight": 0.0, "calm": 1},
        "settings": {},
    }

    def read(data: bytes) -> str:
        (box / CONFIG).write_bytes(data)
        (box / METRICS).write_bytes(data)
        metrics = Metrics(box, 3)
        metrics.add(4, {"l1": 0.5})
        for events in box.glob("events*"):
            events.unlink()
        if json.loads((box / METRICS).read_text().splitlines()[-1])["step"] != 4:
            raise AssertionError("the new line is not the last one")
        require_same_config(box, record)
        return "same"

    return read, [
        json.dumps(record, indent=2).encode(),
        b'{"step": 1, "l1": 0.5}\n{"step": 2, "l1": NaN}\n',
        json.dumps(record).encode(),
    ]
