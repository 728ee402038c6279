"""All that the commands can be told, as frozen dataclasses; their defaults are the command line's.

They live apart from the stages that read them because those import torch or MediaPipe:
``--help`` answers at once, and the worker processes of a bulk run stay small.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from toolkit.align import AlignConfig
from toolkit.cascade import FindConfig
from toolkit.errors import ConfigError

ImageFormat = Literal["jpg", "png", "webp"]
Precision = Literal["32", "bf16"]
Loader = Literal["dali", "torch"]
RECIPE_NAMES = ("scaleway", "siamese", "siamese-gan-v1", "siamese-gan-v2", "multitask", "refiner", "attributes")
Engine = Literal["local", "ray"]
ForeignSet = Literal["multipie", "cfp", "celeba"]
Aligning = Literal["auto", "always", "never"]


MOST_SHARDS = 100_000


def all_cores() -> int:
    """Cores that this process may use (in a container fewer than the machine has)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def require_cpu(device: str) -> None:
    """The landmark models run on the CPU alone; a GPU that is asked for by name is an error, never a silent CPU run."""
    if device not in ("auto", "cpu"):
        raise ConfigError(f"device={device!r}: the landmark models run on the CPU; use --device cpu or leave it out")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLimits:
    """What one photo may take of a worker process; beyond, it fails and the others go on."""

    seconds: float = 60.0  # generous: 64 megapixels took 7 on a busy core
    memory: int = 1 << 30  # bytes, beyond what the models take: enough for 64 megapixels as PNG, 100 as JPEG

    def __post_init__(self) -> None:
        for name in ("seconds", "memory"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name}={getattr(self, name)}: must be more than 0; leave it out for the default")


@dataclass(frozen=True, kw_only=True, slots=True)
class BulkConfig:
    """How a bulk run goes about it; nothing here changes an output."""

    workers: int = field(default_factory=all_cores)  # processes
    overwrite: bool = False  # do finished inputs again
    shard: tuple[int, int] = (0, 1)  # (i, n): the i-th of n parts of the photos, for as many machines
    engine: Engine = "local"  # who runs it: processes of this machine, or Ray
    limits: JobLimits = field(default_factory=JobLimits)  # of one photo

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers={self.workers}: must be 1 or more; leave it out for all cores")
        if self.engine not in get_args(Engine):
            raise ConfigError(f"engine={self.engine!r}: choose one of {', '.join(get_args(Engine))}")
        part, parts = self.shard
        if not 0 <= part < parts <= MOST_SHARDS:
            raise ConfigError(
                f"shard={part}/{parts}: must be i/n, i from 0 to n - 1, n up to {MOST_SHARDS:,}; 0/4 is the first of 4"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignPhotosConfig:
    """``frontalize align``."""

    crop: AlignConfig = field(default_factory=AlignConfig)
    find: FindConfig = field(default_factory=FindConfig)
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100
    keep_exif: bool = False  # the photo's own EXIF goes into the crops; where and when it was taken is private

    def __post_init__(self) -> None:
        if self.format not in get_args(ImageFormat):
            raise ConfigError(f"format={self.format!r}: choose one of {', '.join(get_args(ImageFormat))}")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"quality={self.quality}: must be 1 to 100; try 95")


@dataclass(frozen=True, kw_only=True, slots=True)
class PairsConfig:
    """``frontalize pairs build``."""

    subjects: str  # "folders", a regular expression with one group, or a CSV file with the columns file and subject
    target: str = "auto"  # "auto", or a glob that the target's path matches
    link: bool = False  # hard links to the crops instead of copies, where the disk knows them


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthConfig:
    """``frontalize pairs synth``."""

    yaws: tuple[float, ...] = tuple(float(yaw) for yaw in range(-75, 76, 15))  # degrees to turn heads by
    pitches: tuple[float, ...] = (0.0,)  # degrees
    per_photo: int | None = None  # so many poses drawn at random from the grid's span; None: the whole grid
    light: float = 0.0  # strength of a lamp from a random side, 0 (as in the photo) to 1
    seed: int = 0
    size: int = 128  # side of the crops, pixels
    max_turn: float = 12.0  # degrees: photos turned further are no targets
    subjects: str | None = (
        None  # who is who, as for `pairs build`: photos of one person are then kept on one side of a split
    )
    frontalized: bool = False  # inputs are the turned views brought back by the geometric view, with their masks
    wear: float = 0.0  # how badly views are worn before they are brought back, 0 to 1; see toolkit.wear
    relief: float = 0.0  # how far heads get other depths before they are turned, 0 to 1; see toolkit.relief
    min_sharpness: float = 20.0  # see toolkit.quality.sharpness
    max_enlarged: float = 1.25  # photos with fewer pixels than the crop by more than that are no targets
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    def __post_init__(self) -> None:
        for name, bound in (("yaws", 90), ("pitches", 45)):
            wrong = [value for value in getattr(self, name) if abs(value) > bound]
            if wrong or not getattr(self, name):
                raise ConfigError(f"{name}={getattr(self, name)}: must be degrees from -{bound} to {bound}")
        if self.per_photo is not None and self.per_photo < 1:
            raise ConfigError(f"per_photo={self.per_photo}: must be 1 or more; leave it out for the whole grid")
        for name in ("light", "wear", "relief"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be 0 to 1; try 0.5")
        if self.wear and not self.frontalized:
            raise ConfigError(f"wear={self.wear}: only views that are brought back are worn; add --frontalized")


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyConfig:
    """``frontalize pairs verify``."""

    faces: bool = True  # look for the face in every file: without, wrong crops and wrong people are not seen
    recognizer: Path | None = None  # an ONNX face recogniser: who is who, too
    workers: int = field(default_factory=all_cores)  # processes

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ConfigError(f"workers={self.workers}: must be 1 or more; leave it out for all cores")
        if self.recognizer is not None and not self.recognizer.is_file():
            raise ConfigError(f"recognizer {self.recognizer}: no such file; give an ONNX face recogniser")
        if self.recognizer is not None and not self.faces:
            raise ConfigError("recognizer and no faces: a recogniser needs the faces; give one of the two")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportConfig:
    """``frontalize pairs import``."""

    kind: ForeignSet
    size: int = 256  # side of the crops, pixels
    align: Aligning = "auto"  # auto: square photos stay as they are; but CFP's are squares by chance alone
    light: int = 7  # Multi-PIE: of the targets, 0 to 19
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    def __post_init__(self) -> None:
        for name, choices in (("kind", ForeignSet), ("align", Aligning), ("format", ImageFormat)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(get_args(choices))}")
        if not 0 <= self.light <= 19:
            raise ConfigError(f"light={self.light}: Multi-PIE's are 0 to 19; try 7, the frontal flash")
        if not 1 <= self.quality <= 100:
            raise ConfigError(f"quality={self.quality}: must be 1 to 100; try 95")
        if not 16 <= self.size <= 4096:
            raise ConfigError(f"size={self.size}: must be 16 to 4096 pixels; try 256")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportConfig:
    """``frontalize report``."""

    photos: Path | None = None  # where the inputs are; None: where the ledger says
    most: int = 10_000  # inputs on the page; of more, a share of the rejected and of the others, evenly spaced

    def __post_init__(self) -> None:
        if self.photos is not None and not self.photos.is_dir():
            raise ConfigError(f"photos {self.photos}: no such folder; give the SRC of the run")
        if self.most < 1:
            raise ConfigError(f"most={self.most}: must be 1 or more; try 10000")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """``frontalize bench``."""

    photos: int = 32  # so many of SRC, evenly spaced
    rounds: int = 5  # measured, after one that warms up
    device: str = "auto"  # of the networks: auto, cpu, cuda or cuda:i

    def __post_init__(self) -> None:
        for name in ("photos", "rounds"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be 1 or more; leave it out for the default")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontalizeConfig:
    """``frontalize batch``."""

    model: str  # geometric, or the path of a generator.safetensors
    size: int | None = None  # side of the outputs, or of the views that are pasted, pixels; None: what the model makes
    aligned: bool = False  # the photos are crops already
    paste_back: bool = False  # the outputs are whole photos, with frontal faces
    max_turn: float = 30.0  # degrees from the camera: faces turned further are not pasted, but left as they are
    batch_size: int = 32  # faces per pass of the network; memory, not results, depends on it
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100
    device: str = "auto"  # auto, cpu, cuda or cuda:i

    @property
    def keep_exif(self) -> bool:
        """A synthesised face is no photo: it carries no camera's data."""
        return False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ConfigError(f"batch_size={self.batch_size}: must be 1 or more; try 32")
        if self.size is not None and not 16 <= self.size <= 1024:
            raise ConfigError(f"size={self.size}: must be 16 to 1024 pixels; leave it out for the model's own")
        if self.paste_back and self.aligned:
            raise ConfigError("--aligned with --paste-back: a crop has no photo around it; give the photos themselves")
        if not 0 <= self.max_turn <= 45:
            raise ConfigError(f"max_turn={self.max_turn:g}: must be 0 to 45 degrees; try 30")


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluateConfig:
    """``frontalize evaluate``."""

    models: tuple[str, ...] = ("raw", "geometric", "refiner")  # raw: the input as it is; or as `batch` names them
    recognizer: Path | None = None  # an ONNX face recogniser: how much of the person is left, too
    by: str | None = None  # a column of labels.csv: the same numbers for each of its values, too
    size: int | None = None  # side at which images are compared, pixels; None: the first target's
    batch_size: int = 32  # faces per pass of a network; memory, not results, depends on it
    device: str = "auto"  # auto, cpu, cuda or cuda:i: of the generators and the comparison
    workers: int = field(default_factory=all_cores)  # processes that look at faces

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no model: name one or more, as in --model raw --model geometric")
        if len(set(self.models)) < len(self.models):
            raise ConfigError(f"models {', '.join(self.models)}: one is named twice; name each once")
        if self.recognizer is not None and not self.recognizer.is_file():
            raise ConfigError(f"recognizer {self.recognizer}: no such file; give an ONNX face recogniser")
        if self.size is not None and not 16 <= self.size <= 1024:
            raise ConfigError(f"size={self.size}: must be 16 to 1024 pixels; leave it out for the targets' own")
        if self.batch_size < 1:
            raise ConfigError(f"batch_size={self.batch_size}: must be 1 or more; try 32")
        if self.workers < 1:
            raise ConfigError(f"workers={self.workers}: must be 1 or more; leave it out for all cores")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """``frontalize train``: all that decides what a run learns; stored as ``RUN/config.json`` before the first step."""

    dataset: str  # subject-folder root
    recipe: str = "scaleway"
    steps: int | None = None  # optimizer steps; None: by epochs
    epochs: int | None = None  # passes over the pairs; None: the recipe's, unless steps are given
    batch_size: int | None = None  # pairs per step; None: the recipe's
    precision: Precision = "32"
    loader: Loader = "dali"
    seed: int = 0
    log_every: int = 10  # steps between lines of metrics.jsonl
    save_every: int = 500  # steps between checkpoints and sample grids; one more comes at the end
    validate_every: int | None = None  # steps between validations, where the set has a part for it; None: save_every
    accumulate: int = 1  # batches whose gradients make one step
    ema: float = 0.0  # decay of a running average of the generator, 0.999 say; 0: none is kept
    channels_last: bool = False  # memory format of the networks: faster on GPUs
    compile: bool = False  # torch.compile: a minute at the start, faster steps
    devices: int = 1  # GPUs, or processes on the CPU, of this machine; torchrun and SLURM say it themselves
    start_from: str | None = None  # a run or its generator.safetensors, whose weights are the first ones
    settings: dict[str, str] = field(default_factory=dict)  # --set key=value, for the recipe's own config

    def __post_init__(self) -> None:
        counts = ("steps", "epochs", "batch_size", "log_every", "save_every", "validate_every", "accumulate", "devices")
        for name in counts:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}={value}: must be 1 or more")
        if not 0 <= self.ema < 1:
            raise ConfigError(f"ema={self.ema}: must be 0 to below 1; try 0.999")
        if self.steps is not None and self.epochs is not None:
            raise ConfigError(f"steps={self.steps} and epochs={self.epochs}: give one of the two")
        if self.precision not in get_args(Precision):
            raise ConfigError(f"precision={self.precision!r}: choose one of {', '.join(get_args(Precision))}")
        if self.loader not in get_args(Loader):
            raise ConfigError(f"loader={self.loader!r}: choose one of {', '.join(get_args(Loader))}")
