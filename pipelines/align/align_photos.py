"""Stage: a folder of photos -> a mirrored folder of aligned crops."""

from collections.abc import Iterator
from functools import partial

from pipelines.align.config import AlignPhotosConfig
from pipelines.photo_jobs.crops import open_face_cutter
from pipelines.photo_jobs.job import cut_into
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Plan
from pipelines.runtime.run import digest
from toolkit.records.ledger import Outcome


def align_photos(plan: Plan, config: AlignPhotosConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Cut every face of a plan; one outcome per photo, each in the ledger already.

    Raises:
        ConfigError: OUT or the landmarker cannot be used.
    """
    return cut_into(plan, partial(open_face_cutter, config.crop, config.find), config, digest(config), bulk, stop)
