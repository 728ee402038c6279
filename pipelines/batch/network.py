"""Stage: a folder of photos -> a mirrored folder of frontal faces."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from pipelines.batch.config import FrontalizeConfig
from pipelines.photo_jobs import pastes
from pipelines.photo_jobs.crops import CROP_VERSION, open_crop_cutter, open_whole_cutter, resize_square
from pipelines.photo_jobs.gpu_inputs import open_layout_cut
from pipelines.photo_jobs.job import CutPhoto, crash_outcome, open_cut, open_each
from pipelines.photo_jobs.views import VIEW_VERSION, open_view_cutter
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.devices import bulk_devices
from pipelines.runtime.image_writer import WRITERS, write_image
from pipelines.runtime.interrupt import Stop
from pipelines.runtime.plan import Job, Plan
from pipelines.runtime.ray_backend import Stage, on_ray
from pipelines.runtime.run import Work, digest, run_bulk
from pipelines.runtime.stage_timer import lap, timed
from pipelines.runtime.worker_pool import Crash, run_in_workers
from pipelines.weights.generator import Generator, Shown, weights_path
from toolkit.errors import ConfigError, PhotoError
from toolkit.records.ledger import Outcome

Image = NDArray[np.uint8]
Batch = tuple[list[CutPhoto], Future[list[list[Image]]]]  # photos, and the faces to come
DRAWING = ("cuda",)  # kinds of devices that draw the refiner's views themselves; elsewhere the workers' cores do


class Frontalizer:
    """A model on a device or several, ready for whole folders.

    Args:
        config: which model, what kind of photos, what kind of outputs.

    Raises:
        ConfigError: the model or the device cannot be used.
    """

    def __init__(self, config: FrontalizeConfig) -> None:
        self._config = config
        self.devices = bulk_devices(config.device)
        self.place = ", ".join(map(str, self.devices))
        path = weights_path(config.model)
        self._generators = [Generator(path, config.batch_size, device, config.size) for device in self.devices]
        self._model = self._generators[0]
        self.card = self._model.card
        if config.paste_back and not self._model.refines:
            raise ConfigError(
                f"--paste-back with model {config.model}: it draws a new face, {self.card.image_size} px, that "
                "fits into no photo; use refiner, geometric, or the weights of a refiner"
            )
        shaping: tuple[object, ...] = (config.size, config.aligned, config.format, config.quality)
        if config.paste_back:
            shaping += ("pasted", pastes.VERSION, config.max_turn)
        if self._model.refines:
            shaping += ("views", VIEW_VERSION)
        elif not config.aligned:
            shaping += ("crops", CROP_VERSION)
        self._settings = digest(self.card, _weights_digest(path), *shaping)

    def run(self, plan: Plan, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
        """Frontalize every photo of a plan; one outcome per photo, each in the ledger already.

        Photos are cut in worker processes, go through the network in batches here, each device
        with a batch of its own, and are written by threads while the next batch runs.

        Raises:
            ConfigError: OUT cannot be used.
        """
        open_work = self._opener(plan.source)

        def locally(jobs: Sequence[Job]) -> Iterator[Outcome]:
            ahead = (1 + len(self.devices)) * self._config.batch_size
            photos = run_in_workers(open_work, jobs, bulk.workers, stop, ahead, bulk.limits)
            return self.finish(plan.source, plan.out, photos)

        work: Work = locally
        if bulk.engine == "ray":
            work = on_ray(self._stages(plan), self._config.batch_size, bulk.workers, stop, locally)
        return run_bulk(plan, work, self._settings, bulk.overwrite)

    def _stages(self, plan: Plan) -> list[Stage]:
        """With GPUs the photos are cut on the machines' cores; without, each core does all of it, on one thread."""
        open_work, places = self._opener(plan.source), (plan.source, plan.out)
        if self.devices[0].type == "cuda":
            return [Stage(partial(open_each, open_work)), Stage(partial(_open_network, self._config, *places), True)]
        return [Stage(partial(_open_whole, self._config, open_work, *places))]

    def _opener(self, source: Path) -> Callable[[], Callable[[Job], CutPhoto]]:
        """What a worker opens."""
        config, model = self._config, self._model
        if config.paste_back:
            return partial(pastes.open_patch_cut, source, config.size or pastes.SIZE, config.max_turn)
        if model.refines:  # in crops too the face is looked for: its mesh is what the view is made of
            size = config.size or self.card.image_size
            if self.devices[0].type in DRAWING and size % 4 == 0:
                return partial(open_layout_cut, source, size)
            cutter = partial(open_view_cutter, size, masked=True)
        else:
            cutter = partial(open_whole_cutter if config.aligned else open_crop_cutter, model.side, self.card.template)
        return partial(open_cut, source, cutter)

    def finish(self, source: Path, out: Path, photos: Iterable[CutPhoto | Crash[Job]]) -> Iterator[Outcome]:
        """Cut photos -> faces in OUT, in batches: each device has one, another is written, the next is gathered."""
        waiting: list[CutPhoto] = []
        running: deque[Batch] = deque()
        free: SimpleQueue[Generator] = SimpleQueue()
        for generator in self._generators:
            free.put(generator)

        def written(batch: Batch) -> Iterator[Outcome]:
            photos, faces = batch
            return threads.map(partial(self._write, source, out), photos, faces.result())

        with ThreadPoolExecutor(WRITERS) as threads, ThreadPoolExecutor(len(self._generators)) as networks:
            for photo in photos:
                if isinstance(photo, Crash):
                    yield crash_outcome(photo)
                elif photo.error is not None:
                    yield photo.refusal(photo.error, self._settings)
                else:
                    waiting.append(photo)
                if sum(len(_views(photo)) for photo in waiting) >= self._config.batch_size:
                    running.append((waiting, networks.submit(_faces, free, waiting)))
                    waiting = []
                if len(running) > len(self._generators):
                    yield from written(running.popleft())
            if waiting:
                running.append((waiting, networks.submit(_faces, free, waiting)))
            while running:
                yield from written(running.popleft())

    def _write(self, source: Path, out: Path, photo: CutPhoto, faces: Sequence[Image]) -> Outcome:
        config = self._config
        try:
            [output] = photo.job.outputs(1, f".{config.format}")
            with timed(photo.laps, "writers"):
                if config.paste_back:
                    with lap("paste"):
                        image = pastes.refined_photo(source, photo, faces)
                else:
                    [face] = faces
                    image = resize_square(face, config.size or len(face))
                write_image(out / output, image, config)
        except PhotoError as error:
            return photo.refusal(error, self._settings)
        return photo.outcome([output], self._settings)


def _open_network(
    config: FrontalizeConfig, source: Path, out: Path
) -> Callable[[Iterable[CutPhoto]], Iterator[Outcome]]:
    return partial(Frontalizer(config).finish, source, out)


def _open_whole(
    config: FrontalizeConfig, open_work: Callable[[], Callable[[Job], CutPhoto]], source: Path, out: Path
) -> Callable[[Iterable[Job]], Iterator[Outcome]]:
    cut, finish = open_work(), _open_network(config, source, out)
    return lambda jobs: finish(map(cut, jobs))


def _faces(free: "SimpleQueue[Generator]", photos: Sequence[CutPhoto]) -> list[list[Image]]:
    """The frontal faces of each photo, by whichever generator is free."""
    generator = free.get()
    try:
        with timed(photos[0].laps, "network"), lap("network"):  # one photo stands for its batch
            faces = iter(generator([view for photo in photos for view in _views(photo)]))
        return [list(islice(faces, len(_views(photo)))) for photo in photos]
    finally:
        free.put(generator)


def _views(photo: CutPhoto) -> list[Shown]:
    """What the network is shown of a photo: of each patch its square, or the one layout or crop."""
    return [patch.square for patch in photo.patches] or [photo.layout or photo.crops]


def _weights_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
