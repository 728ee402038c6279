"""Photo functions that turn faces to the front."""

from dataclasses import dataclass

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
from toolkit.views.frontal import FrontalView, frontal_view
from toolkit.views.paste import blend_refined

VIEW_VERSION = 12  # raised when the same photo gives another frontal view: finished photos are then done again


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

    def frontal_view(self, photo: Photo, crop: AlignedCrop, size: int, border: int = 0) -> FrontalView:
        """Turn a face that :func:`toolkit.crops.align.align_photo` found to the front.

        Raises:
            PhotoRejected: ``bad-mesh``, the points span no frame.
        """
        return frontal_view(*self.pixels_and_face(photo, crop), size, border=border)


@dataclass(slots=True)
class ViewOutput(PhotoOutput):
    """A frontal view; if a network refines it, the network's other inputs too."""

    border: int = 0  # pixels around the square that a network refines

    @property
    def network_inputs(self) -> list[Image]:
        """View, visibility and unmirrored view, without the border."""
        square = slice(self.border, len(self.images[0]) - self.border)
        return [image[square, square] for image in self.images]

    def with_refined(self, face: Image) -> Image:
        """Return the view, (S, S, 3) RGB, with the refined face in its square."""
        return blend_refined(self.images[0], face, self.border)


class FrontalViews:
    """Turn the largest face of a photo to the front, framed as the crop of `frontalize align`.

    Args:
        size: side of the views with their border, pixels.
        for_network: add the other inputs of a network; see :class:`toolkit.views.frontal.FrontalView`.
        margin: the border, as a share of the side of the square inside.
    """

    def __init__(self, size: int, for_network: bool = False, margin: float = 0.0) -> None:
        self._config, self._for_network = AlignConfig(size=size, margin=margin), for_network
        self._border = round(size * margin / (1 + 2 * margin))
        self._landmarker = ViewLandmarker()

    def __call__(self, photo: Photo, job: Job) -> ViewOutput:
        """One image, or three, and the face's row."""
        [crop] = align_photo(photo, self._landmarker.landmarker, self._config)
        border = self._border
        view = self._landmarker.frontal_view(photo, crop, self._config.size - 2 * border, border)
        images = view.network_inputs if self._for_network else [view.image]
        return ViewOutput(images, [crop.ledger_row()], border=border)
