"""Stage: a folder of photos -> a mirrored folder of frontal faces."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import models
from pipelines.bulk import digest, run_bulk
from pipelines.checkpoint import GeneratorCard, load_generator
from pipelines.configs import BulkConfig, FrontalizeConfig
from pipelines.crops import (
    CutPhoto,
    Cutter,
    crash_outcome,
    open_crop_cutter,
    open_cut,
    open_view_cutter,
    open_whole_cutter,
    resize_square,
    write_output,
)
from pipelines.devices import choose_device
from pipelines.plan import Job, Plan
from pipelines.runs import to_images
from pipelines.workers import Crash, Stop, run_in_workers
from toolkit.errors import CheckpointError, PhotoError
from toolkit.images import encode_image
from toolkit.ledger import Outcome

Image = NDArray[np.uint8]
BUILT_IN = {"refiner": Path(models.__file__).parent / "weights" / "refiner.safetensors"}


class Generator:
    """A trained generator, fed with crops of its own kind.

    Every pass has the same shape, short ones filled up with zeros: on the CPU a face's
    result then depends on that face alone, bit for bit, whatever else is in the batch, and
    a resumed run equals an undisturbed one.

    Args:
        net: the network, in evaluation mode.
        card: what it was trained on.
        batch_size: faces per pass.
        device: where it runs.
    """

    def __init__(self, net: nn.Module, card: GeneratorCard, batch_size: int, device: torch.device) -> None:
        self._net, self._card, self._batch_size, self._device = net, card, batch_size, device
        self._edge = (crop_side(card) - card.image_size) // 2

    @torch.inference_mode()
    def __call__(self, photos: Sequence[Sequence[Image]]) -> list[Image]:
        """Up to a batch of crops -> as many frontal faces, (S, S, 3) RGB.

        Args:
            photos: of each its crop, (S, S, 3) RGB; for the refiner its frontal view and the visibility of that.
        """
        constants = self._card.normalization
        inputs = [(self._stacked([crops[0] for crops in photos]) - constants.mean) / constants.scale]
        if refines(self._card):
            inputs.append(self._stacked([crops[1][..., None] for crops in photos]) / 255)
        return to_images(self._net(*(part.contiguous() for part in inputs)), constants)[: len(photos)]

    def _stacked(self, images: Sequence[Image]) -> Tensor:
        """(B, C, S, S), the windows that recipes of random windows are shown the middle of, then zeros."""
        inner = slice(self._edge, len(images[0]) - self._edge)
        windows = np.stack(images)[:, inner, inner]
        batch = np.zeros((self._batch_size, *windows.shape[1:]), np.uint8)
        batch[: len(images)] = windows
        return torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()


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
        path = _weights_path(config.model)
        net, self.card = load_generator(path, self.device)
        if self.card.architecture == "attributes":
            raise CheckpointError(f"model {path}: draws faces from traits, not from photos; use `frontalize generate`")
        self._generator = Generator(net, self.card, config.batch_size, self.device)
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

        def work(jobs: Sequence[Job]) -> Iterator[Outcome]:
            ahead = 2 * self._config.batch_size
            return self._through_network(run_in_workers(open_work, jobs, bulk.workers, stop, ahead), plan.out)

        return run_bulk(plan, work, self._settings, bulk.overwrite)

    def _cutter(self) -> Callable[[], Cutter]:
        if refines(self.card):  # in crops too the face is looked for: its mesh is what the view is made of
            return partial(open_view_cutter, self._config.size or self.card.image_size, masked=True)
        cutter = open_whole_cutter if self._config.aligned else open_crop_cutter
        return partial(cutter, crop_side(self.card), self.card.template)

    def _through_network(self, photos: Iterable[CutPhoto | Crash[Job]], out: Path) -> Iterator[Outcome]:
        """One batch is written by threads while the next one runs."""
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


def crop_side(card: GeneratorCard) -> int:
    """Side of the crops that a generator's middle part is taken from, px: recipes that train on random windows of
    slightly larger crops are shown the middle one."""
    return card.load_size or card.image_size


def refines(card: GeneratorCard) -> bool:
    """Whether a generator mends frontal views: the others are shown crops."""
    return card.architecture == "refiner"


def _weights_path(model: str) -> Path:
    return BUILT_IN.get(model, Path(model))


def _weights_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
