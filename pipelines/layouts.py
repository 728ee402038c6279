"""What worker processes cut where a GPU draws the views: for each photo what of it goes where."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.crops import CutPhoto, Faces, cut_photo, open_quiet_landmarker, steady_face
from pipelines.plan import Job
from toolkit.align import AlignConfig, align_photo
from toolkit.cascade import FindConfig
from toolkit.frontal import Layout, lay_out
from toolkit.photos import Photo
from toolkit.steady import SteadyMesh


def open_layout_cut(source: Path, size: int) -> Callable[[Job], CutPhoto]:
    """For :func:`pipelines.workers.run_in_workers`: a job's result has the ``layout`` of its largest face's view.

    Args:
        source: the folder of the photos.
        size: side of the view, pixels.
    """
    config, landmarker, steady = AlignConfig(size=size), open_quiet_landmarker(FindConfig()), SteadyMesh()

    def cut(job: Job) -> CutPhoto:
        layouts: list[Layout] = []

        def cutter(photo: Photo) -> tuple[list[NDArray[np.uint8]], Faces]:
            [crop] = align_photo(photo, landmarker, config)
            layouts.append(lay_out(*steady_face(photo, crop, steady), size, config.template))
            return [], [crop.ledger_row()]

        photo = cut_photo(source, job, cutter)
        photo.layout = next(iter(layouts), None)
        return photo

    return cut
