"""In a worker process: what each stage of `batch --model geometric` takes of one photo.

In a worker, since memory and threads are set there as in bulk; and no torch here either.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.align.config import AlignPhotosConfig
from pipelines.photo_jobs.landmarkers import open_view_landmarker
from pipelines.photo_jobs.timed import TimedPhoto
from pipelines.runtime.stage_timer import Laps, lap, timed
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoError
from toolkit.faces.face import resized
from toolkit.geometry.affine import magnification
from toolkit.photos.decode import read_bytes
from toolkit.photos.files import encode_image, write_whole
from toolkit.views.frontal import frontal_view

SEARCHING = ("decode", "landmarks")  # what a photo without a face costs
STAGES = (*SEARCHING, "warp", "frontal view", "encode")
SIDE, SUFFIX, QUALITY = AlignConfig().size, f".{AlignPhotosConfig().format}", AlignPhotosConfig().quality


@dataclass(frozen=True, slots=True)
class LapJob:
    """One photo to time."""

    round: int
    path: Path
    view: str  # what its view shall be called


@dataclass(slots=True)
class PhotoLaps:
    """One photo, timed."""

    job: LapJob
    size_wh: tuple[int, int] = (0, 0)  # pixels
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, as far as it came
    has_face: bool = False

    @property
    def readable(self) -> bool:
        """Whether it could be decoded and searched."""
        return "landmarks" in self.seconds


def open_photo_laps(scratch: Path) -> Callable[[LapJob], PhotoLaps]:
    """For :func:`pipelines.runtime.worker_pool.run_in_workers`; views are written into ``scratch``."""
    landmarker, steady = open_view_landmarker()

    def work(job: LapJob) -> PhotoLaps:
        laps: Laps = {}
        done = PhotoLaps(job)
        with suppress(PhotoError), timed(laps, ""):
            photo = TimedPhoto(read_bytes(job.path))
            done.size_wh = photo.size
            with lap("warp"):
                [crop] = align_photo(photo, landmarker, AlignConfig())
            pixels, scale = photo.pixels(magnification(crop.matrix))
            with lap("frontal view"):
                view, _ = frontal_view(pixels, steady(pixels, resized(crop.face, scale)), SIDE)
            with lap("encode"):
                write_whole(scratch / job.view, encode_image(view, SUFFIX, QUALITY))
            done.has_face = True
        done.seconds = {stage: seconds for (_, stage), seconds in laps.items()}
        return done

    return work
