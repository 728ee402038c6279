"""The photo function for GPUs: what a GPU needs to render a frontal view, instead of the view."""

from dataclasses import dataclass

from pipelines.photo_jobs.job import PhotoOutput
from pipelines.photo_jobs.views import ViewLandmarker
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.photos.decode import Photo
from toolkit.views.frontal import ViewInputs, prepare_view


@dataclass(slots=True)
class GpuViewOutput(PhotoOutput):
    """No images, but what one is rendered from."""

    view_inputs: ViewInputs | None = None  # of the largest face


class GpuViews:
    """Prepare the frontal view of the largest face of a photo.

    Args:
        size: side of the view, pixels.
    """

    def __init__(self, size: int) -> None:
        self._config, self._landmarker = AlignConfig(size=size), ViewLandmarker()

    def __call__(self, photo: Photo, job: Job) -> GpuViewOutput:
        """The inputs of the rendering, and the face's row."""
        config = self._config
        [crop] = align_photo(photo, self._landmarker.landmarker, config)
        pixels, face = self._landmarker.pixels_and_face(photo, crop)
        return GpuViewOutput(
            [], [crop.ledger_row()], view_inputs=prepare_view(pixels, face, config.size, config.template)
        )
