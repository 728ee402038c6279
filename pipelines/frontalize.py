"""Stage: a folder of photos -> a mirrored folder of frontal faces."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.bulk import Work, digest, run_bulk
from pipelines.configs import BulkConfig, FrontalizeConfig
from pipelines.crops import (
    CutPhoto,
    Cutter,
    crash_outcome,
    open_crop_cutter,
    open_cut,
    open_each,
    open_view_cutter,
    open_whole_cutter,
    resize_square,
    write_output,
)
from pipelines.devices import choose_device
from pipelines.generator import Generator, weights_path
from pipelines.plan import Job, Plan
from pipelines.ray_engine import Stage, on_ray
from pipelines.workers import Crash, Stop, run_in_workers
from toolkit.errors import PhotoError
from toolkit.images import encode_image
from toolkit.ledger import Outcome

Image = NDArray[np.uint8]


class Frontalizer:
    """A model on a device, ready for whole folders.

    Args:
        config: which model, what kind of photos, what kind of outputs.

    Raises:
        ConfigError: the model or the device cannot be used.
    """

    def __init__(self, config: FrontalizeConfig) -> None:
        self._config = config
        self.device = choose_device(config.device)
        path = weights_path(config.model)
        self._generator = Generator(path, config.batch_size, self.device)
        self.card = self._generator.card
        shaping = (config.size, config.aligned, config.format, config.quality)
        self._settings = digest(self.card, _weights_digest(path), *shaping)

    def run(self, plan: Plan, bulk: BulkConfig, stop: Stop) -> Iterator[Outcome]:
        """Frontalize every photo of a plan; one outcome per photo, each in the ledger already.

        Photos are cut in worker processes, go through the network in batches here, and are
        written by threads while the next batch runs.

        Raises:
            ConfigError: OUT cannot be used.
        """
        open_work = partial(open_cut, plan.source, self._cutter())

        def locally(jobs: Sequence[Job]) -> Iterator[Outcome]:
            ahead = 2 * self._config.batch_size
            return self.finish(plan.out, run_in_workers(open_work, jobs, bulk.workers, stop, ahead, bulk.limits))

        work: Work = locally
        if bulk.engine == "ray":
            work = on_ray(self._stages(plan), self._config.batch_size, bulk.workers, stop, locally)
        return run_bulk(plan, work, self._settings, bulk.overwrite)

    def _stages(self, plan: Plan) -> list[Stage]:
        """With GPUs the photos are cut on the machines' cores; without, each core does all of it, on one thread."""
        open_work = partial(open_cut, plan.source, self._cutter())
        if self.device.type == "cuda":
            return [Stage(partial(open_each, open_work)), Stage(partial(_open_network, self._config, plan.out), True)]
        return [Stage(partial(_open_whole, self._config, open_work, plan.out))]

    def _cutter(self) -> Callable[[], Cutter]:
        if self._generator.refines:  # in crops too the face is looked for: its mesh is what the view is made of
            return partial(open_view_cutter, self._config.size or self.card.image_size, masked=True)
        cutter = open_whole_cutter if self._config.aligned else open_crop_cutter
        return partial(cutter, self._generator.side, self.card.template)

    def finish(self, out: Path, photos: Iterable[CutPhoto | Crash[Job]]) -> Iterator[Outcome]:
        """Cut photos -> faces in OUT, in batches: one is written by threads while the next one is run."""
        waiting: list[CutPhoto] = []
        writing: Iterator[Outcome] = iter(())
        write = partial(self._write, out)
        with ThreadPoolExecutor(2) as threads:
            for photo in photos:
                if isinstance(photo, Crash):
                    yield crash_outcome(photo)
                elif photo.error is not None:
                    yield photo.refusal(photo.error, self._settings)
                else:
                    waiting.append(photo)
                if len(waiting) == self._config.batch_size:
                    faces = self._generator([photo.crops for photo in waiting])
                    yield from writing
                    writing, waiting = threads.map(write, waiting, faces), []
            yield from writing
            if waiting:
                yield from threads.map(write, waiting, self._generator([photo.crops for photo in waiting]))

    def _write(self, out: Path, photo: CutPhoto, face: Image) -> Outcome:
        config = self._config
        suffix = f".{config.format}"
        try:
            [output] = photo.job.outputs(1, suffix)
            data = encode_image(resize_square(face, config.size or len(face)), suffix, config.quality)
            write_output(out / output, data)
        except PhotoError as error:
            return photo.refusal(error, self._settings)
        return photo.outcome([output], self._settings)


def _open_network(config: FrontalizeConfig, out: Path) -> Callable[[Iterable[CutPhoto]], Iterator[Outcome]]:
    return partial(Frontalizer(config).finish, out)


def _open_whole(
    config: FrontalizeConfig, open_work: Callable[[], Callable[[Job], CutPhoto]], out: Path
) -> Callable[[Iterable[Job]], Iterator[Outcome]]:
    cut, finish = open_work(), _open_network(config, out)
    return lambda jobs: finish(map(cut, jobs))


def _weights_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
