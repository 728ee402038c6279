"""Settings of the face search."""

from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import ConfigError
from toolkit.landmarks.protocols import DETECTORS, LANDMARKERS, find_class


@dataclass(frozen=True, kw_only=True, slots=True)
class FindConfig:
    """How faces are found.

    ``detector`` and ``landmarker`` are each the path of a model file, a name registered in
    :mod:`toolkit.landmarks.protocols`, or ``module:Class``; None means the built-in models.
    """

    min_detection: float = 0.5  # detections with a lower score are dropped, 0 to 1
    min_presence: float = 0.5  # meshes with a lower presence (the network's confidence) are dropped, 0 to 1
    retries: bool = True  # where no face is found, search padded, flipped, rotated and tiled views of the photo
    detector: str | Path | None = None  # one more detector for the retries; a path is that of a YuNet .onnx
    landmarker: str | Path | None = None  # replaces the built-in finder; a path is that of a face_landmarker.task
    refine_profiles: bool = True  # average several fits on profiles, and fuse them with the profile network's points

    def __post_init__(self) -> None:
        for name in ("min_detection", "min_presence"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name}={getattr(self, name)}: must be above 0, up to 1; try 0.5")
        for name, registered in (("detector", DETECTORS), ("landmarker", LANDMARKERS)):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, _checked(name, given, registered))
        if self.detector is not None and self.landmarker is not None:
            raise ConfigError("detector and landmarker: a landmarker has its own detector; give one of the two")


def _checked(name: str, given: str | Path, registered: dict[str, type]) -> str:
    """Return the value as text; raise ConfigError if it is no file, no registered name and no importable class."""
    try:
        if isinstance(given, str) and find_class(registered, given) is not None:
            return given
    except ConfigError as error:
        raise ConfigError(f"{name} {error}") from error
    path = Path(given)
    if not path.is_file():
        names = f"one of the registered names ({', '.join(sorted(registered))}), " if registered else ""
        way_out = f"give a model file, {names}module:Class, or leave it out for the built-in models"
        raise ConfigError(f"{name} {path}: no such file; {way_out}")
    return str(path)
