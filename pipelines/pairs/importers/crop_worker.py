"""The photo function of `pairs import`: one crop of a photo, or the photo itself where it is a crop already."""

import hashlib
import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ExifTags
from PIL import Image as PillowImage

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.dataset_card import FILE_HASH
from pipelines.pairs.importers.importer import Importer
from pipelines.photo_jobs.job import PhotoOutput
from pipelines.photo_jobs.landmarkers import worker_landmarker
from pipelines.runtime.image_writer import encode_output
from pipelines.runtime.plan import Job
from toolkit.errors import PhotoRejected
from toolkit.photos.color import srgb_transform
from toolkit.photos.decode import BAD_FILE_ERRORS, Photo, read_bytes

CROPS_VERSION = 2  # increased when the same photo gives another crop: finished photos are then processed again
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}  # formats of files that are taken over unchanged
_IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]  # the matrix of a photo that is its own crop


@dataclass(slots=True)
class ImportOutput(PhotoOutput):
    """One image and its row."""

    original: tuple[str, bytes] | None = None  # suffix and bytes of the file, if it is taken over unchanged


class ImportedCrops:
    """The photo function: make one crop of each photo. Loads the landmark models for the first photo that needs them.

    Args:
        source: folder of the photos.
        importer: of the dataset.
        config: size of the crops, and which photos are aligned.
    """

    def __init__(self, source: Path, importer: Importer, config: ImportConfig) -> None:
        self._source, self._importer, self._config = source, importer, config
        self._landmarker = cache(worker_landmarker)

    def __call__(self, photo: Photo, job: Job) -> ImportOutput:
        """Return the crop and its row.

        Raises:
            PhotoRejected: ``not-square``, or as the importer's crop function says.
        """
        unchanged = is_crop(photo.size, self._config, self._importer)
        if not unchanged or self._importer.measures_all:
            image, row = self._importer.crop(photo, self._source, job.input, self._landmarker(), self._config.size)
        if not unchanged:
            return ImportOutput([image], [row])
        row = (row if self._importer.measures_all else {}) | {"matrix": _IDENTITY}
        return ImportOutput([photo.pixels()[0]], [row], original=_original_file(read_bytes(self._source / job.input)))


def encode_import(config: ImportConfig, job: Job, output: ImportOutput) -> list[tuple[str, bytes]]:
    """Return the original file if it is taken over unchanged, else the encoded crop; add its hash to its row."""
    [image], [row] = output.images, output.faces
    suffix, data = output.original or (f".{config.format}", encode_output(image, config))
    row[FILE_HASH] = hashlib.sha256(data).hexdigest()
    return [(job.stem + suffix, data)]


def is_crop(size_wh: tuple[int, int], config: ImportConfig, importer: Importer) -> bool:
    """Return whether a photo is a crop already and is taken over unchanged.

    Raises:
        PhotoRejected: ``not-square``, under ``--align never``.
    """
    width, height = size_wh
    if config.align == "never" and width != height:
        raise PhotoRejected("not-square", f"{width} x {height} px cannot stay as it is; leave out --align never")
    return config.align == "never" or (config.align == "auto" and importer.squares_are_crops and width == height)


def _original_file(data: bytes) -> tuple[str, bytes] | None:
    """Return the suffix and the file; None if other programs may show it differently: it is rotated by EXIF, has other
    colors than sRGB or transparency, or a rare format."""
    try:
        with PillowImage.open(io.BytesIO(data)) as image:
            profile = image.info.get("icc_profile")
            plain = (
                image.mode in ("RGB", "L")
                and "transparency" not in image.info
                and image.getexif().get(ExifTags.Base.Orientation, 1) == 1
                and not (profile and srgb_transform(profile, image.mode))
            )
            suffix = _SUFFIXES.get(image.format or "")
            return (suffix, data) if plain and suffix else None
    except BAD_FILE_ERRORS:
        return None
