"""Settings of the ``frontalize pairs`` commands."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pipelines.runtime.config import ImageFormat, all_cores
from toolkit.errors import ConfigError

ForeignSet = Literal["multipie", "cfp", "celeba"]
Aligning = Literal["auto", "always", "never"]


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
    wear: float = 0.0  # how badly views are worn before they are brought back, 0 to 1; see toolkit.photos.degrade
    relief: float = 0.0  # how far heads get other depths before they are turned, 0 to 1; see toolkit.faces.depth_jitter
    min_sharpness: float = 20.0  # see toolkit.faces.quality.sharpness
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
