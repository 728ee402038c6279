"""Photo functions that give aligned crops."""

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import Cutter, Faces
from pipelines.photo_jobs.landmarkers import open_quiet_landmarker
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoRejected
from toolkit.geometry.crop import Template
from toolkit.landmarks.finder import FindConfig
from toolkit.photos.decode import Photo

CROP_VERSION = 2  # raised when the same photo would give another crop: what was made of it is then made again


def open_face_cutter(config: AlignConfig, find: FindConfig) -> Cutter:
    """A cutter that finds the faces; loads the landmark models."""
    landmarker = open_quiet_landmarker(find)

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        crops = align_photo(photo, landmarker, config)
        return [crop.image for crop in crops], [crop.ledger_row() for crop in crops]

    return cutter


def open_crop_cutter(size: int, template: Template) -> Cutter:
    """A cutter that gives the largest face as a model wants it."""
    return open_face_cutter(AlignConfig(size=size, template=template), FindConfig())


def open_whole_cutter(size: int, template: Template) -> Cutter:
    """A cutter for photos that are crops of that template already: the whole image, brought to the size."""

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        width, height = photo.size
        if height != width:
            raise PhotoRejected("not-square", f"{width} x {height} px is no {template} crop; leave out --aligned")
        return [resize_square(photo.pixels(size / width)[0], size)], []

    return cutter


def resize_square(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """An image of another size: averaged when it shrinks, cubic when it grows."""
    if image.shape[0] == size:
        return image
    interpolation = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=interpolation), np.uint8)
