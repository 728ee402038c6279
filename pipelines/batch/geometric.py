"""Stage: a folder of photos -> a mirrored folder of frontal views by geometry alone: no weights, no GPU."""

from collections.abc import Iterator
from functools import partial

from pipelines.batch.config import FrontalizeConfig
from pipelines.photo_jobs.job import encode_images, run_photo_jobs
from pipelines.photo_jobs.pastes import PASTE_VERSION, PastedPhotos
from pipelines.photo_jobs.views import VIEW_VERSION, FrontalViews
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Plan
from pipelines.runtime.run import digest
from toolkit.records.ledger import Outcome


def frontal_views(plan: Plan, config: FrontalizeConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Turn the largest face of every photo to the front; yield one outcome per photo, already in the ledger.

    With ``paste_back``, turn all faces and paste them into the photo. Without it, aligned crops are processed like raw
    photos: the face is searched in either.

    Raises:
        ConfigError: OUT cannot be used.
    """
    encode = partial(encode_images, config)
    size = config.view_size
    if config.paste_back:
        pasting = (size, config.max_turn)
        settings = digest("geometric", VIEW_VERSION, "pasted", PASTE_VERSION, *pasting, config.format, config.quality)
        return run_photo_jobs(plan, partial(PastedPhotos, *pasting), encode, settings, bulk, stop)
    margin = ("margin", config.margin) if config.margin else ()
    settings = digest("geometric", VIEW_VERSION, size, config.format, config.quality, *margin)
    return run_photo_jobs(plan, partial(FrontalViews, size, margin=config.margin), encode, settings, bulk, stop)
