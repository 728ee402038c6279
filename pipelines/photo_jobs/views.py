"""Photo functions that give frontal views."""

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.job import Cutter, Faces
from pipelines.photo_jobs.landmarkers import open_view_landmarker
from toolkit.crops.align import AlignConfig, AlignedCrop, align_photo
from toolkit.faces.face import Face, resized
from toolkit.geometry.affine import magnification
from toolkit.landmarks.averaging import SteadyMesh
from toolkit.photos.decode import Photo
from toolkit.views.frontal import frontal_view

VIEW_VERSION = 6  # raised when the same photo would give another frontal view: finished ones are then done again


def open_view_cutter(size: int, masked: bool = False) -> Cutter:
    """A cutter that turns the largest face to the front; `frontalize align`'s crop, seen frontally.

    Args:
        size: of the views, pixels.
        masked: each view is followed by how well the photo showed its pixels, (size, size) 0 to 255.
    """
    config, (landmarker, steady) = AlignConfig(size=size), open_view_landmarker()

    def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
        [crop] = align_photo(photo, landmarker, config)
        view, mask = turned_to_front(photo, crop, steady, size)
        return [view, *([mask] if masked else [])], [crop.ledger_row()]

    return cutter


def turned_to_front(
    photo: Photo, crop: AlignedCrop, steady: SteadyMesh, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The frontal view of a face that :func:`toolkit.crops.align.align_photo` found in a photo.

    Returns:
        (size, size, 3) RGB, and (size, size) how well the photo showed each pixel, 0 to 255.

    Raises:
        PhotoRejected: ``bad-mesh``, its points span no frame.
    """
    view, visible = frontal_view(*steady_face(photo, crop, steady), size)
    return view, as_mask(visible)


def steady_face(photo: Photo, crop: AlignedCrop, steady: SteadyMesh) -> tuple[NDArray[np.uint8], Face]:
    """The photo as large as its crop deserves, (H, W, 3) RGB; and the face in it, its mesh steadied."""
    pixels, scale = photo.pixels(magnification(crop.matrix))
    return pixels, steady(pixels, resized(crop.face, scale))


def as_mask(visible: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Visibility, 0 to 1, as it is stored: 0 to 255."""
    return np.asarray(np.round(255 * visible), np.uint8)
