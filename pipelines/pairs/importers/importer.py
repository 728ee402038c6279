"""Importers: how a published dataset names its photos, what its tables say, and how its photos are cropped."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pipelines.pairs.config import ImportConfig
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoFailed
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome, error_outcome

Role = Literal["target", "input", "candidate", "both"]  # candidate: the best of them becomes the target
Row = dict[str, Any]
# A photo, SRC, its path, a landmarker, the side in pixels -> (side, side, 3) RGB and its row; raises PhotoRejected.
CropFunction = Callable[[Photo, Path, str, Landmarker, int], tuple[Image, Row]]


@dataclass(frozen=True, slots=True)
class Item:
    """One photo and its place in the paired set."""

    photo: str  # relative to SRC, with "/"
    subject: str  # the folder of its pair
    name: str  # in that folder, without suffix
    role: Role  # both: target, and its own only input
    labels: Row = field(default_factory=dict)  # columns of labels.csv that the dataset provides


@dataclass(frozen=True, slots=True)
class Listing:
    """The photos of a dataset, from its names and tables, before any photo is opened."""

    items: list[Item]
    refused: list[Outcome]  # photos whose names or tables do not fit, with the reason
    tables: str = ""  # digest of the tables


def crop_largest_face(photo: Photo, source: Path, name: str, landmarker: Landmarker, size: int) -> tuple[Image, Row]:
    """Make the crop of `frontalize align`; a :data:`CropFunction`."""
    [crop] = align_photo(photo, landmarker, AlignConfig(size=size))
    return crop.image, crop.ledger_row()


@dataclass(frozen=True, slots=True)
class Importer:
    """The properties of a dataset that `pairs import` needs."""

    path_pattern: str  # of its photos, for the error message
    list_photos: Callable[[Path, Sequence[str], ImportConfig], Listing]  # SRC, relative paths, settings
    crop: CropFunction = crop_largest_face
    squares_are_crops: bool = True  # square photos go into the set as they are, unless --align always
    measures_all: bool = False  # faces are measured in photos that stay as they are too: to choose targets


def without_collisions(items: Sequence[Item]) -> tuple[list[Item], list[Outcome]]:
    """Remove all photos that share a place in the set, so that none is preferred by chance.

    Returns:
        The others, and an outcome for each removed photo.
    """
    counts = Counter((item.subject, item.name) for item in items)
    unique = [item for item in items if counts[item.subject, item.name] == 1]
    refusals = []
    for item in items:
        if counts[item.subject, item.name] > 1:
            error = PhotoFailed("collision", f"another photo is {item.name} of {item.subject} too; keep one of them")
            refusals.append(error_outcome(item.photo, error))
    return unique, refusals
