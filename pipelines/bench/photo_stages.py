"""In a worker process: the seconds that each stage of `batch --model geometric` takes for one photo.

In a worker process, because memory and threads are limited there as in bulk runs; no torch here either.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.align.config import AlignPhotosConfig
from pipelines.photo_jobs.timed import TimedPhoto
from pipelines.photo_jobs.views import ViewLandmarker
from pipelines.runtime.stage_timer import StageSeconds, record_stages, stage
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import PhotoError
from toolkit.faces.face import rescale_face
from toolkit.geometry.affine import matrix_scale
from toolkit.photos.decode import read_bytes
from toolkit.photos.files import encode_image, write_atomic
from toolkit.views.frontal import frontal_view

SEARCH_STAGES = ("decode", "landmarks")  # the stages of a photo without a face
STAGES = (*SEARCH_STAGES, "warp", "frontal view", "encode")
VIEW_SIZE, SUFFIX, QUALITY = AlignConfig().size, f".{AlignPhotosConfig().format}", AlignPhotosConfig().quality


@dataclass(frozen=True, slots=True)
class TimingJob:
    """One photo to time."""

    round: int
    path: Path
    view: str  # name of its view


@dataclass(slots=True)
class PhotoTimes:
    """The times of one photo."""

    job: TimingJob
    size_wh: tuple[int, int] = (0, 0)  # pixels
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, as far as it came
    has_face: bool = False

    @property
    def readable(self) -> bool:
        """Whether it was decoded and searched."""
        return "landmarks" in self.seconds


class PhotoTimer:
    """Times photos; views are written into ``scratch``. Loads the landmark models."""

    def __init__(self, scratch: Path) -> None:
        self._scratch, self._landmarker = scratch, ViewLandmarker()

    def time(self, job: TimingJob) -> PhotoTimes:
        """Take one photo through all stages."""
        seconds: StageSeconds = {}
        times = PhotoTimes(job)
        with suppress(PhotoError), record_stages(seconds, ""):
            photo = TimedPhoto(read_bytes(job.path))
            times.size_wh = photo.size
            with stage("warp"):
                [crop] = align_photo(photo, self._landmarker.landmarker, AlignConfig())
            pixels, scale = photo.pixels(matrix_scale(crop.matrix))
            with stage("frontal view"):
                face = self._landmarker.refined(pixels, rescale_face(crop.face, scale))
                view = frontal_view(pixels, face, VIEW_SIZE).image
            with stage("encode"):
                write_atomic(self._scratch / job.view, encode_image(view, SUFFIX, QUALITY))
            times.has_face = True
        if on_device := seconds.pop(("", "networks"), 0.0):  # of networks that run on a GPU
            seconds["", "landmarks"] += on_device
        times.seconds = {name: value for (_, name), value in seconds.items()}
        return times
