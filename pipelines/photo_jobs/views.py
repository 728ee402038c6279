"""Photo functions that turn faces to the front."""

from dataclasses import dataclass

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
from toolkit.views.paste import blend_refined

VIEW_VERSION = 8  # raised when the same photo gives another frontal view: finished photos are then done again


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

    def frontal_view(self, photo: Photo, crop: AlignedCrop, size: int, border: int = 0) -> tuple[Image, Image]:
        """Turn a face that :func:`toolkit.crops.align.align_photo` found to the front.

        Returns:
            (S, S, 3) RGB, S = size + 2 border, and (S, S) visibility in the photo, 0 to 255.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no frame.
        """
        view, visibility = frontal_view(*self.pixels_and_face(photo, crop), size, border=border)
        return view, as_mask(visibility)


@dataclass(slots=True)
class ViewOutput(PhotoOutput):
    """A frontal view, and its visibility if a network refines it."""

    border: int = 0  # pixels around the square that a network refines

    @property
    def network_inputs(self) -> list[Image]:
        """View and visibility without the border."""
        square = slice(self.border, len(self.images[0]) - self.border)
        return [image[square, square] for image in self.images]

    def with_refined(self, face: Image) -> Image:
        """Return the view, (S, S, 3) RGB, with the refined face in its square."""
        return blend_refined(self.images[0], face, self.border)


class FrontalViews:
    """Turn the largest face of a photo to the front, framed as the crop of `frontalize align`.

    Args:
        size: side of the views with their border, pixels.
        masked: add the view's visibility, (size, size) 0 to 255, as a second image.
        margin: the border, as a share of the side of the square inside.
    """

    def __init__(self, size: int, masked: bool = False, margin: float = 0.0) -> None:
        self._config, self._masked = AlignConfig(size=size, margin=margin), masked
        self._border = round(size * margin / (1 + 2 * margin))
        self._landmarker = ViewLandmarker()

    def __call__(self, photo: Photo, job: Job) -> ViewOutput:
        """One image, or two, and the face's row."""
        [crop] = align_photo(photo, self._landmarker.landmarker, self._config)
        border = self._border
        view, mask = self._landmarker.frontal_view(photo, crop, self._config.size - 2 * border, border)
        return ViewOutput([view, mask] if self._masked else [view], [crop.ledger_row()], border=border)


def as_mask(visibility: NDArray[np.float32]) -> Image:
    """Visibility from 0 to 1 as it is stored, 0 to 255."""
    return np.asarray(np.round(255 * visibility), np.uint8)
