"""Stage: a folder of photos -> a mirrored folder of aligned crops."""

from collections.abc import Iterator
from functools import partial

from pipelines.align.config import AlignPhotosConfig
from pipelines.photo_jobs.crops import AlignedCrops
from pipelines.photo_jobs.job import encode_images, run_photo_jobs
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Plan
from pipelines.runtime.run import digest
from toolkit.records.ledger import Outcome


def align_photos(plan: Plan, config: AlignPhotosConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Cut the faces of every photo of a plan; yield one outcome per photo, already in the ledger.

    Raises:
        ConfigError: OUT or the landmarker cannot be used.
    """
    load = partial(AlignedCrops, config.crop, config.find, config.keep_exif)
    return run_photo_jobs(plan, load, partial(encode_images, config), digest(config), bulk, stop)
