"""Stage: a folder of photos -> a mirrored folder of frontal views, by geometry alone: no weights, no GPU."""

from collections.abc import Iterator
from functools import partial

from pipelines.batch.config import FrontalizeConfig
from pipelines.photo_jobs import pastes
from pipelines.photo_jobs.job import cut_into
from pipelines.photo_jobs.views import VIEW_VERSION, open_view_cutter
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Plan
from pipelines.runtime.run import digest
from toolkit.records.ledger import Outcome

SIZE = 256  # pixels: the side where none is asked for


def frontal_views(plan: Plan, config: FrontalizeConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Turn the largest face of every photo to the front; one outcome per photo, each in the ledger already.

    With ``paste_back`` all its faces, in the photo itself. Without, aligned crops go the same way as raw photos: the
    face is looked for in either.

    Raises:
        ConfigError: OUT cannot be used.
    """
    if config.paste_back:
        views = (config.size or pastes.SIZE, config.max_turn)
        settings = digest("geometric", VIEW_VERSION, "pasted", pastes.VERSION, *views, config.format, config.quality)
        return cut_into(plan, partial(pastes.open_paste_cutter, *views), config, settings, bulk, stop)
    size = config.size or SIZE
    settings = digest("geometric", VIEW_VERSION, size, config.format, config.quality)
    return cut_into(plan, partial(open_view_cutter, size), config, settings, bulk, stop)
