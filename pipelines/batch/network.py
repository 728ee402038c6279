"""Stage: a folder of photos -> a mirrored folder of frontal faces, by a network.

A photo's way: the plan names it, a worker process reads it and prepares the network's input (`pipelines.photo_jobs`),
the network sees it in a batch (`pipelines.batch.faces`), it is written (`pipelines.batch.writing`), and its row goes
into the ledger (`pipelines.runtime.run`).
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.batch.config import FrontalizeConfig
from pipelines.batch.faces import faces_in_batches
from pipelines.batch.writing import FaceOrOutcome, in_threads, load_nothing, write_faces, write_in_worker
from pipelines.photo_jobs.crops import CROP_VERSION, AlignedCrops, WholePhotos
from pipelines.photo_jobs.device_networks import full_precision_on, networks_on
from pipelines.photo_jobs.gpu_inputs import GpuViews
from pipelines.photo_jobs.job import PhotoFunction, PhotoResult, map_block, process_photo
from pipelines.photo_jobs.pastes import PASTE_VERSION, PasteableViews
from pipelines.photo_jobs.views import VIEW_VERSION, FrontalViews
from pipelines.runtime.config import BulkConfig, JobLimits
from pipelines.runtime.devices import bulk_devices, is_gpu
from pipelines.runtime.image_writer import WRITERS
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.ray_backend import RayStage, run_on_ray
from pipelines.runtime.run import Work, digest, run_bulk
from pipelines.runtime.worker_pool import Crash, run_in_workers
from pipelines.weights.generator import Generator, open_generator, weights_path
from toolkit.crops.align import AlignConfig
from toolkit.errors import ConfigError
from toolkit.records.ledger import Outcome


class Frontalizer:
    """A model on one or more devices, ready for whole folders.

    Args:
        config: which model, which kind of photos and of outputs.
        bulk: how to run, and where.

    Attributes:
        devices: where the network runs.
        card: what the model was trained on.

    Raises:
        ConfigError: the model or the device cannot be used.
    """

    def __init__(self, config: FrontalizeConfig, bulk: BulkConfig) -> None:
        self._config, self._bulk = config, bulk
        self.devices = bulk_devices(bulk.device)
        self._generators = [
            open_generator(config.model, config.batch_size, device, config.view_size, config.recipe)
            for device in self.devices
        ]
        self._model = self._generators[0]
        self.card = self._model.card
        _require_able(self._model, config)
        size = config.view_size if self._model.takes_frontal_view else config.size
        shaping: tuple[object, ...] = (size, config.aligned, config.format, config.quality)
        if config.paste_back:
            shaping += ("pasted", PASTE_VERSION, config.max_turn)
        if config.margin:
            shaping += ("margin", config.margin)
        if config.min_confidence:
            shaping += ("min confidence", config.min_confidence)
        if self._model.takes_frontal_view:
            shaping += ("views", VIEW_VERSION)
        elif not config.aligned:
            shaping += ("crops", CROP_VERSION)
        if config.recipe is not None:
            shaping += ("recipe", _sha256(config.recipe))
        self._settings = digest(self.card, _sha256(weights_path(config.model)), *shaping)

    def run(self, plan: Plan, stop: Stop) -> Iterator[Outcome]:
        """Frontalize every photo of a plan; yield one outcome per photo, already in the ledger.

        Worker processes prepare the photos. The network sees them in batches in this process, one batch per device,
        while threads write the batch before. Photos are pasted together by worker processes, within their bounds. On
        GPUs the networks that find faces run in this process, too.

        Raises:
            ConfigError: OUT cannot be used.
        """
        bulk, process = self._bulk, partial(process_photo, plan.source)
        networks = networks_on(bulk.device, self.photo_function())

        def run_locally(jobs: Sequence[Job]) -> Iterator[Outcome]:
            if not jobs:
                return
            ahead = (1 + len(self.devices)) * self._config.batch_size
            with networks as load:
                photos = run_in_workers(load, process, jobs, bulk.workers, stop, ahead, bulk.limits)
                if self._config.paste_back:
                    yield from self.paste(plan.source, plan.out, photos, min(WRITERS, bulk.workers), bulk.limits)
                else:
                    yield from self.finish(plan.source, plan.out, photos)

        work: Work = run_locally
        if bulk.engine == "ray":
            work = run_on_ray(self._ray_stages(plan), self._config.batch_size, bulk.workers, stop, run_locally)
        return run_bulk(plan, work, self._settings, bulk.overwrite)

    def photo_function(self) -> Callable[[], PhotoFunction[Any]]:
        """What a worker process calls once to get the function that prepares a photo for this model."""
        config, model = self._config, self._model
        size = config.view_size
        if config.paste_back:
            return partial(PasteableViews, size, config.max_turn)
        if model.takes_frontal_view:  # the face is searched in aligned crops too: the view is rendered from its mesh
            if is_gpu(self.devices[0]) and size % 4 == 0 and not config.margin:  # the GPU renders the views
                return partial(GpuViews, size)
            return partial(FrontalViews, size, for_network=True, margin=config.margin)
        if config.aligned:
            return partial(WholePhotos, model.side, self.card.template)
        return partial(AlignedCrops, AlignConfig(size=model.side, template=self.card.template))

    def finish(self, source: Path, out: Path, photos: Iterable[PhotoResult[Any] | Crash[Job]]) -> Iterator[Outcome]:
        """Prepared photos -> faces, written by threads while the next batch runs."""
        return in_threads(partial(write_faces, source, out, self._config, self._settings), self._faces(photos), WRITERS)

    def paste(
        self, source: Path, out: Path, photos: Iterable[PhotoResult[Any] | Crash[Job]], workers: int, limits: JobLimits
    ) -> Iterator[Outcome]:
        """Prepared photos -> whole photos with the refined faces, put together and written by worker processes."""
        write = partial(write_in_worker, partial(write_faces, source, out, self._config, self._settings))
        for result in run_in_workers(load_nothing, write, self._faces(photos), workers, lambda: False, 0, limits):
            if not isinstance(result, Crash):
                yield result
            elif isinstance(result.job, Outcome):
                yield result.job
            else:
                yield result.job.result.not_written(result.error, self._settings)

    def _faces(self, photos: Iterable[PhotoResult[Any] | Crash[Job]]) -> Iterator[FaceOrOutcome]:
        return faces_in_batches(self._generators, self._config.batch_size, self._settings, photos)

    def _ray_stages(self, plan: Plan) -> list[RayStage]:
        """With GPUs the machines' cores prepare the photos; without, each core does all of it, on one thread."""
        load, process = self.photo_function(), partial(process_photo, plan.source)
        if is_gpu(self.devices[0]):
            finish = partial(_finish_block, plan.source, plan.out)
            return [
                RayStage(load, partial(map_block, process)),
                RayStage(partial(Frontalizer, self._config, self._bulk), finish, on_gpu=True),
            ]
        load_all = partial(_load_all, load, self._config, self._bulk)
        return [RayStage(load_all, partial(_process_block, plan.source, plan.out))]


def _require_able(model: Generator, config: FrontalizeConfig) -> None:
    """Require a model that can do what the options ask for."""
    face = f"model {config.model}: it generates a new face, {model.card.image_size} px,"
    use = "use refiner, geometric, or the weights of a refiner"
    if config.paste_back and not model.takes_frontal_view:
        raise ConfigError(f"--paste-back with {face} that fits into no photo; {use}")
    if config.margin and not model.takes_frontal_view:
        raise ConfigError(f"--margin {config.margin:g} with {face} and nothing around it; {use}")
    if config.min_confidence and not model.gives_confidence:
        raise ConfigError(
            f"--min-confidence {config.min_confidence:g} with model {config.model}: its network gives no confidence; "
            "leave it out, or use refiner or the weights of a refiner"
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _finish_block(
    source: Path, out: Path, frontalizer: Frontalizer, photos: Iterable[PhotoResult[Any]]
) -> Iterator[Outcome]:
    with full_precision_on(frontalizer.devices[0]):
        yield from frontalizer.finish(source, out, photos)


def _load_all(
    load: Callable[[], PhotoFunction[Any]], config: FrontalizeConfig, bulk: BulkConfig
) -> tuple[PhotoFunction[Any], Frontalizer]:
    return load(), Frontalizer(config, bulk)


def _process_block(
    source: Path, out: Path, models: tuple[PhotoFunction[Any], Frontalizer], jobs: Iterable[Job]
) -> Iterator[Outcome]:
    function, frontalizer = models
    return frontalizer.finish(source, out, (process_photo(source, function, job) for job in jobs))
