"""Photo functions that cut aligned crops."""

import cv2
import numpy as np

from pipelines.photo_jobs.job import PhotoOutput
from pipelines.photo_jobs.landmarkers import worker_landmarker
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoRejected
from toolkit.geometry.crop import Template
from toolkit.landmarks.config import FindConfig
from toolkit.photos.decode import Photo
from toolkit.photos.types import Image

CROP_VERSION = 3  # raised when the same photo gives another crop: finished photos are then done again


class AlignedCrops:
    """Cut the faces of a photo. Loads the landmark models.

    Args:
        config: which faces, and which crop.
        find: how faces are found; None means the defaults.
        keep_exif: keep the photo's EXIF for the crops.
    """

    def __init__(self, config: AlignConfig, find: FindConfig | None = None, keep_exif: bool = False) -> None:
        self._config, self._keep_exif = config, keep_exif
        self._landmarker = worker_landmarker(find)

    def __call__(self, photo: Photo, job: Job) -> PhotoOutput:
        """One image and one row for each face."""
        crops = align_photo(photo, self._landmarker, self._config)
        images, rows = [crop.image for crop in crops], [crop.ledger_row() for crop in crops]
        return PhotoOutput(images, rows, photo.exif() if self._keep_exif else None)


class WholePhotos:
    """Take photos that are crops already as they are, rescale_face.

    Args:
        size: side of the result, pixels.
        template: for the error message.
    """

    def __init__(self, size: int, template: Template) -> None:
        self._size, self._template = size, template

    def __call__(self, photo: Photo, job: Job) -> PhotoOutput:
        """One image, no rows.

        Raises:
            PhotoRejected: ``not-square``.
        """
        width, height = photo.size
        if height != width:
            raise PhotoRejected("not-square", f"{width} x {height} px is no {self._template} crop; leave out --aligned")
        return PhotoOutput([resize_square(photo.pixels(self._size / width)[0], self._size)], [])


def resize_square(image: Image, size: int) -> Image:
    """Resize a square image: area averaging when it shrinks, cubic when it grows."""
    if image.shape[0] == size:
        return image
    interpolation = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=interpolation), np.uint8)
