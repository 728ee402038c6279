"""Photo functions that turn faces to the front."""

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import PhotoOutput
from pipelines.photo_jobs.landmarkers import worker_landmarker
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, AlignedCrop, align_photo
from toolkit.faces.face import Face, rescale_face
from toolkit.geometry.affine import matrix_scale
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.photos.decode import Photo
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view

VIEW_VERSION = 7  # raised when the same photo gives another frontal view: finished photos are then done again


class ViewLandmarker:
    """Find faces for frontal views. Profiles are refined once only, at the resolution of the view.

    Attributes:
        landmarker: finds the faces, unrefined.
    """

    def __init__(self) -> None:
        self.landmarker = worker_landmarker(FindConfig(refine_profiles=False))
        self._refine = AveragedMesh()

    def refined(self, pixels: Image, face: Face) -> Face:
        """The face with a better mesh if it is turned; ``face`` is in the pixels of the (H, W, 3) RGB image."""
        return self._refine(pixels, face)

    def pixels_and_face(self, photo: Photo, crop: AlignedCrop) -> tuple[Image, Face]:
        """Decode a photo at the resolution of one of its crops.

        Returns:
            (H, W, 3) RGB, and the refined face in its pixels.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no frame.
        """
        pixels, scale = photo.pixels(matrix_scale(crop.matrix))
        return pixels, self.refined(pixels, rescale_face(crop.face, scale))

    def frontal_view(self, photo: Photo, crop: AlignedCrop, size: int) -> tuple[Image, Image]:
        """Turn a face that :func:`toolkit.crops.align.align_photo` found to the front.

        Returns:
            (size, size, 3) RGB, and (size, size) visibility in the photo, 0 to 255.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no frame.
        """
        view, visibility = frontal_view(*self.pixels_and_face(photo, crop), size)
        return view, as_mask(visibility)


class FrontalViews:
    """Turn the largest face of a photo to the front, framed as the crop of `frontalize align`.

    Args:
        size: side of the views, pixels.
        masked: add the view's visibility, (size, size) 0 to 255, as a second image.
    """

    def __init__(self, size: int, masked: bool = False) -> None:
        self._config, self._masked = AlignConfig(size=size), masked
        self._landmarker = ViewLandmarker()

    def __call__(self, photo: Photo, job: Job) -> PhotoOutput:
        """One image, or two, and the face's row."""
        [crop] = align_photo(photo, self._landmarker.landmarker, self._config)
        view, mask = self._landmarker.frontal_view(photo, crop, self._config.size)
        return PhotoOutput([view, mask] if self._masked else [view], [crop.ledger_row()])


def as_mask(visibility: NDArray[np.float32]) -> Image:
    """Visibility from 0 to 1 as it is stored, 0 to 255."""
    return np.asarray(np.round(255 * visibility), np.uint8)
