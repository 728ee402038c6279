"""In a worker process: a photo of a foreign set -> one crop, or the photo as it lies where it is a crop already."""

import hashlib
import io
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from pipelines.pairs.config import ImportConfig
from pipelines.pairs.dataset_card import FILE_HASH
from pipelines.pairs.importers import cfp
from pipelines.photo_jobs.job import cut_photo
from pipelines.photo_jobs.landmarkers import open_quiet_landmarker
from pipelines.runtime.image_writer import write_output
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoError, PhotoRejected
from toolkit.faces.face import Landmarker
from toolkit.faces.quality import sharpness
from toolkit.landmarks.finder import FindConfig
from toolkit.photos.color import srgb_transform
from toolkit.photos.decode import BAD_FILE_ERRORS, Photo, read_bytes
from toolkit.photos.files import encode_image
from toolkit.photos.resample import cut_from
from toolkit.records.ledger import Outcome

VERSION = 2  # raised when the same photo would give another crop: finished ones are then done again
Pixels = NDArray[np.uint8]
Row = dict[str, Any]
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}  # what a set may hold
_IN_PLACE = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]  # the matrix of a photo that is its own crop


def open_foreign_work(source: Path, out: Path, config: ImportConfig, settings: str) -> Callable[[Job], Outcome]:
    """The work of one process: cut, write, and tell what was measured and written.

    Args:
        source: of the photos.
        out: of the crops.
        config: which set, and which crop.
        settings: digest for the ledger.
    """
    landmarker = cache(partial(open_quiet_landmarker, FindConfig()))  # a set of crops does without it

    def work(job: Job) -> Outcome:
        def cutter(photo: Photo) -> tuple[list[Pixels], list[Row]]:
            image, row = _cut(photo, source, job.input, landmarker, config)
            return [image], [row]

        photo = cut_photo(source, job, cutter)
        try:
            if photo.error is not None:
                raise photo.error
            [image], [row] = photo.crops, photo.faces
            suffix, data = f".{config.format}", b""
            if row["matrix"] is _IN_PLACE:
                suffix, data = _as_it_lies(read_bytes(source / job.input)) or (suffix, data)
            data = data or encode_image(image, suffix, config.quality)
            row[FILE_HASH] = hashlib.sha256(data).hexdigest()
            write_output(out / (job.stem + suffix), data)
            return photo.outcome([job.stem + suffix], settings)
        except PhotoError as error:
            return photo.refusal(error, settings)

    return work


def _cut(
    photo: Photo, source: Path, name: str, landmarker: Callable[[], Landmarker], config: ImportConfig
) -> tuple[Pixels, Row]:
    whole = stays_whole(photo.size, config)
    if config.kind == "cfp":  # its target is chosen by what is measured, so also where the photo stays as it is
        image, row = _cut_cfp(photo, source, name, landmarker(), config.size)
    elif whole:
        image, row = photo.pixels()[0], {}
    else:
        image, row = _cut_found(photo, landmarker(), config.size)
    return (photo.pixels()[0], row | {"matrix": _IN_PLACE}) if whole else (image, row)


def stays_whole(size_wh: tuple[int, int], config: ImportConfig) -> bool:
    """Whether a photo is a crop already and goes into the set as it is.

    Raises:
        PhotoRejected: ``not-square``, where nothing shall be aligned.
    """
    width, height = size_wh
    if config.align == "never" and width != height:
        raise PhotoRejected("not-square", f"{width} x {height} px cannot stay as it is; leave out --align never")
    return config.align == "never" or (config.align == "auto" and config.kind != "cfp" and width == height)


def _cut_found(photo: Photo, landmarker: Landmarker, size: int) -> tuple[Pixels, Row]:
    [crop] = align_photo(photo, landmarker, AlignConfig(size=size))
    return crop.image, crop.ledger_row()


def _cut_cfp(photo: Photo, source: Path, name: str, landmarker: Landmarker, size: int) -> tuple[Pixels, Row]:
    """The landmarker's crop; a profile's fiducials' one, where the landmarker finds no face or another thing."""
    fiducials = cfp.read_profile_fiducials(source, name)
    row: Row = {}
    try:
        image, row = _cut_found(photo, landmarker, size)
    except PhotoRejected as error:
        if fiducials is None or error.code != "no-face":
            raise
    if fiducials is not None:
        matrix = cfp.profile_matrix(fiducials, size)
        if not row or cfp.has_strayed(np.array(row["matrix"]), matrix, size):
            image = cut_from(photo, matrix, size)
            row = _fiducial_row(fiducials, matrix, image, row.get("yaw", 0.0))
    return image, row


def _fiducial_row(fiducials: NDArray[np.float64], matrix: NDArray[np.float64], image: Pixels, yaw: float) -> Row:
    """What the ledger keeps of a face that a person has marked. Its pitch is not known; its yaw is the landmarker's,
    degrees, where that has seen the side."""
    side = 1 if cfp.looks_right(fiducials) else -1
    (left, top), (right, bottom) = fiducials.min(axis=0).tolist(), fiducials.max(axis=0).tolist()
    return {
        "box": [round(edge, 1) for edge in (left, top, right, bottom)],
        "score": None,
        "yaw": yaw if yaw * side > 0 else side * cfp.UNSEEN_YAW,
        "roll": round(cfp.roll_of(matrix), 1),
        "matrix": [[float(f"{value:.8g}") for value in line] for line in matrix.tolist()],
        "pass": "fiducials",
        "sharpness": round(sharpness(image), 1),
    }


def _as_it_lies(data: bytes) -> tuple[str, bytes] | None:
    """The file itself, with its suffix; None if another reader could show it otherwise than we do: turned by its EXIF,
    in other colours than sRGB, with transparency, or in a form that few can read."""
    try:
        with Image.open(io.BytesIO(data)) as image:
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
