"""What worker processes cut where a GPU draws the views: for each photo what of it goes where."""

from collections.abc import Callable
from pathlib import Path

from pipelines.photo_jobs.job import CutPhoto, Faces, cut_parts
from pipelines.photo_jobs.landmarkers import open_view_landmarker
from pipelines.photo_jobs.views import steady_face
from pipelines.runtime.plan import Job
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.photos.decode import Photo
from toolkit.views.frontal import Layout, lay_out


def open_layout_cut(source: Path, size: int) -> Callable[[Job], CutPhoto]:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`: a job's result has the ``layout`` of its largest face.

    Args:
        source: the folder of the photos.
        size: side of the view, pixels.
    """
    config, (landmarker, steady) = AlignConfig(size=size), open_view_landmarker()

    def lay_out_largest(photo: Photo) -> tuple[list[Layout], Faces]:
        [crop] = align_photo(photo, landmarker, config)
        return [lay_out(*steady_face(photo, crop, steady), size, config.template)], [crop.ledger_row()]

    def cut(job: Job) -> CutPhoto:
        photo, layouts = cut_parts(source, job, lay_out_largest)
        photo.layout = next(iter(layouts), None)
        return photo

    return cut
