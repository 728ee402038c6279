"""Stage: a folder of photos -> a mirrored folder of aligned crops."""

from collections.abc import Iterator
from functools import partial

from pipelines.bulk import digest
from pipelines.configs import AlignPhotosConfig, BulkConfig
from pipelines.crops import cut_into, open_face_cutter
from pipelines.plan import Plan
from pipelines.workers import Stop
from toolkit.ledger import Outcome


def align_photos(plan: Plan, config: AlignPhotosConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Cut every face of a plan; one outcome per photo, each in the ledger already.

    Raises:
        ConfigError: OUT or the landmarker cannot be used.
    """
    return cut_into(plan, partial(open_face_cutter, config.crop, config.find), config, digest(config), bulk, stop)
