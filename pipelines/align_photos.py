"""Stage: a folder of photos -> a mirrored folder of aligned crops."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from pipelines.bulk import digest, run_bulk
from pipelines.configs import AlignPhotosConfig, BulkConfig
from pipelines.crops import CutPhoto, crash_outcome, cut_photo, open_face_cutter, write_output
from pipelines.plan import Job, Plan
from pipelines.workers import Crash, Stop, run_in_workers
from toolkit.errors import PhotoError
from toolkit.images import encode_image
from toolkit.ledger import Outcome


def align_photos(plan: Plan, config: AlignPhotosConfig, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
    """Cut every face of a plan; one outcome per photo, each in the ledger already.

    Raises:
        ConfigError: OUT or the landmarker cannot be used.
    """
    settings = digest(config)

    def work(jobs: Sequence[Job]) -> Iterator[Outcome]:
        open_work = partial(_open_work, plan.source, plan.out, config, settings)
        for result in run_in_workers(open_work, jobs, bulk.workers, stop):
            yield crash_outcome(result) if isinstance(result, Crash) else result

    return run_bulk(plan, work, settings, bulk.overwrite)


def _open_work(source: Path, out: Path, config: AlignPhotosConfig, settings: str) -> Callable[[Job], Outcome]:
    cutter = open_face_cutter(config.crop, config.find)

    def work(job: Job) -> Outcome:
        photo = cut_photo(source, job, cutter, config.keep_exif)
        try:
            return photo.outcome(_write_crops(photo, out, config), settings)
        except PhotoError as error:
            return photo.refusal(error, settings)

    return work


def _write_crops(photo: CutPhoto, out: Path, config: AlignPhotosConfig) -> list[str]:
    if photo.error is not None:
        raise photo.error
    suffix = f".{config.format}"
    outputs = photo.job.outputs(len(photo.crops), suffix)
    for output, crop in zip(outputs, photo.crops, strict=True):
        write_output(out / output, encode_image(crop, suffix, config.quality, photo.exif))
    return outputs
