"""Settings of the ``frontalize pairs`` commands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipelines.runtime.config import (
    ImageFormat,
    all_cores,
    require_at_least,
    require_between,
    require_choice,
    require_device_name,
    require_quality,
    require_recognizer,
    require_workers,
)
from toolkit.errors import ConfigError
from toolkit.records.subject_rules import subject_rule

KnownSet = Literal["multipie", "cfp", "celeba", "london"]
AlignPolicy = Literal["auto", "always", "never"]
AND = "+"  # joins the names of the two people of a morph, in the column ``person`` of labels.csv


@dataclass(frozen=True, kw_only=True, slots=True)
class PairsConfig:
    """``frontalize pairs build``."""

    subjects: str  # "folders", a regular expression with one group, or a CSV file with the columns file and subject
    target: str = "auto"  # "auto", or a glob that the target's path matches
    link: bool = False  # hard links to the crops instead of copies, where the file system has them

    def __post_init__(self) -> None:
        for name in ("subjects", "target"):
            if not getattr(self, name):
                raise ConfigError(f"{name} is empty; see `frontalize pairs build --help`")
        subject_rule(self.subjects)  # raises ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthConfig:
    """``frontalize pairs synth``."""

    yaws: tuple[float, ...] = tuple(float(yaw) for yaw in range(-75, 76, 15))  # degrees to rotate heads by
    pitches: tuple[float, ...] = (0.0,)  # degrees
    per_photo: int | None = None  # random poses within the grid's span, for each photo; None: the whole grid
    light: float = 0.0  # greatest strength of a light from a random side, 0 (as in the photo) to 1
    seed: int = 0
    size: int = 128  # side of the crops, pixels
    max_turn: float = 12.0  # degrees: photos turned further are no targets
    subjects: str | None = None  # identities, as for `pairs build`: a split keeps photos of one person together
    round_trip: bool = False  # frontalize the views by geometry: inputs are frontal, with masks
    degrade: float = 0.0  # strength of the degradation before that, 0 to 1; see toolkit.photos.degrade
    depth_jitter: float = 0.0  # strength of random depth changes of the head, 0 to 1; see toolkit.faces.depth_jitter
    min_sharpness: float = 20.0  # see toolkit.faces.quality.sharpness
    max_enlarged: float = 1.25  # photos that have to be enlarged more for the crop are no targets
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    def __post_init__(self) -> None:
        for name, bound in (("yaws", 90), ("pitches", 45)):
            angles = getattr(self, name)
            if not angles or not all(abs(angle) <= bound for angle in angles):
                raise ConfigError(f"{name}={angles}: must be degrees from -{bound} to {bound}; try -45,0,45")
        if self.per_photo is not None:
            require_at_least("per_photo", self.per_photo, 1, "leave it out for the whole grid")
        for name in ("light", "degrade", "depth_jitter"):
            require_between(name, getattr(self, name), 0, 1, "try 0.5")
        require_at_least("seed", self.seed, 0, "try 0")
        require_between("size", self.size, 16, 4096, "try 128")
        require_between("max_turn", self.max_turn, 0, 90, "try 12")
        require_at_least("min_sharpness", self.min_sharpness, 0, "try 20")
        require_at_least("max_enlarged", self.max_enlarged, 0.1, "try 1.25")
        require_choice("format", self.format, ImageFormat)
        require_quality(self.quality)
        if self.degrade and not self.round_trip:
            raise ConfigError(f"degrade={self.degrade}: only views of a round trip are degraded; add --round-trip")
        if self.subjects is not None:
            subject_rule(self.subjects)  # raises ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ViewsConfig:
    """``frontalize pairs views``."""

    size: int = 128  # side of views and targets, pixels
    variants: int = 1  # views of each photo, each degraded in another way
    degrade: float = 0.0  # strength of blur, noise and JPEG loss before the view is drawn, 0 to 1
    new_backdrop: bool = False  # draw another backdrop behind each person
    seed: int = 0
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    def __post_init__(self) -> None:
        require_between("size", self.size, 16, 4096, "try 128")
        require_at_least("variants", self.variants, 1, "try 1")
        require_between("degrade", self.degrade, 0, 1, "try 0.5")
        require_at_least("seed", self.seed, 0, "try 0")
        require_choice("format", self.format, ImageFormat)
        require_quality(self.quality)


@dataclass(frozen=True, kw_only=True, slots=True)
class MorphConfig:
    """``frontalize pairs morph``."""

    per_subject: int = 5  # new subjects made of each one, each with a partner
    views: int = 12  # inputs of a new subject, at most
    seed: int = 0
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    def __post_init__(self) -> None:
        require_at_least("per_subject", self.per_subject, 1, "try 5")
        require_at_least("views", self.views, 1, "try 12")
        require_at_least("seed", self.seed, 0, "try 0")
        require_choice("format", self.format, ImageFormat)
        require_quality(self.quality)


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyConfig:
    """``frontalize pairs verify``."""

    faces: bool = True  # search the face in every file; without, wrong crops and wrong people are not noticed
    recognizer: Path | None = None  # an ONNX face recognizer, to find people under a wrong name
    workers: int = field(default_factory=all_cores)  # processes
    device: str = "auto"  # of the networks that find faces: auto, cpu, cuda or cuda:i

    def __post_init__(self) -> None:
        require_workers(self.workers)
        require_device_name(self.device)
        require_recognizer(self.recognizer)
        if self.recognizer is not None and not self.faces:
            raise ConfigError(f"recognizer {self.recognizer}: needs the faces; leave out --no-faces or the recognizer")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportConfig:
    """``frontalize pairs import``."""

    kind: KnownSet
    size: int = 256  # side of the crops, pixels
    align: AlignPolicy = "auto"  # auto: square photos are crops already, except those of CFP and London
    light: int = 7  # Multi-PIE: light of the targets, 0 to 19
    format: ImageFormat = "jpg"
    quality: int = 95  # of JPEG and WebP, 1 to 100

    def __post_init__(self) -> None:
        for name, choices in (("kind", KnownSet), ("align", AlignPolicy), ("format", ImageFormat)):
            require_choice(name, getattr(self, name), choices)
        require_between("light", self.light, 0, 19, "these are Multi-PIE's lights; try 7, the frontal flash")
        require_quality(self.quality)
        require_between("size", self.size, 16, 4096, "try 256")
