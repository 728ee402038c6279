"""A trained generator in use: what names one, and how it is fed. The one place that knows the names of models."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import models
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.gpu_views import ViewDrawer
from pipelines.weights.normalization import to_images
from toolkit.errors import CheckpointError, ConfigError
from toolkit.views.frontal import Layout

Image = NDArray[np.uint8]
Shown = Sequence[Image] | Layout  # what a generator is shown of a photo
PER_THREAD = 8  # faces per pass on the CPU: more are no faster
BUILT_IN = {"refiner": Path(models.__file__).parent / "weights" / "refiner.safetensors"}


class Generator:
    """A trained generator, fed with crops of its own kind.

    Every pass has the same shape, short ones filled up with zeros, and on the CPU runs on one
    thread, several side by side: a face's result then depends on that face alone, bit for bit,
    whatever else is in the batch and however many cores there are. A resumed run equals an
    undisturbed one, and a cluster's one machine's.

    Args:
        path: its ``generator.safetensors``.
        batch_size: faces per pass on a GPU.
        device: where it runs.
        size: of the views that it draws itself, where it is given layouts, pixels; None: the card's.

    Attributes:
        card: what it was trained on.
        side: of the crops that it is given, px. Recipes that train on random windows of
            slightly larger crops are shown the middle one. The refiner takes views of any side.
        refines: it mends frontal views; the others are shown crops.

    Raises:
        CheckpointError: no such file, not one of ours, or one that is not shown photos.
    """

    def __init__(self, path: Path, batch_size: int, device: torch.device, size: int | None = None) -> None:
        self._net, self.card = load_generator(path, device)
        if self.card.architecture == "attributes":
            raise CheckpointError(f"model {path}: draws faces from traits, not from photos; use `frontalize generate`")
        self.side = self.card.load_size or self.card.image_size
        self._edge = (self.side - self.card.image_size) // 2
        self.refines = self.card.architecture == "refiner"
        self._batch_size, self._device = PER_THREAD if device.type == "cpu" else batch_size, device
        self._draw = ViewDrawer(size or self.card.image_size, device)
        self._threads = ThreadPoolExecutor(
            torch.get_num_threads() if device.type == "cpu" else 1, initializer=torch.set_num_threads, initargs=(1,)
        )

    def __call__(self, photos: Sequence[Shown]) -> list[Image]:
        """Photos -> as many frontal faces, (S, S, 3) RGB, of the card's size.

        Args:
            photos: of each its crop, (S, S, 3) RGB, S the side; for the refiner its frontal view, and (S, S) how well
                the photo showed each pixel of that, or the view's layout. The faces are then as large as the views.

        Raises:
            ConfigError: the device has no memory for one face. For a batch: it is halved, and stays so.
        """
        parts = [photos[start : start + self._batch_size] for start in range(0, len(photos), self._batch_size)]
        try:
            return [face for faces in self._threads.map(self._pass, parts) for face in faces]
        except torch.OutOfMemoryError as error:
            if self._batch_size == 1:
                raise ConfigError(
                    f"{self._device} has no memory for one face; use a smaller --size or --device cpu"
                ) from error
        self._batch_size = -(-self._batch_size // 2)  # from now on: what did not fit once will not fit again
        torch.cuda.empty_cache()
        return self(photos)

    @torch.inference_mode()
    def _pass(self, photos: Sequence[Shown]) -> list[Image]:
        constants = self.card.normalization
        layouts = [photo for photo in photos if isinstance(photo, Layout)]
        crops = [photo for photo in photos if not isinstance(photo, Layout)]  # a run has the ones or the others
        images, *masks = self._filled_up(self._draw(layouts)) if layouts else self._stacks(crops)
        inputs = [(images - constants.mean) / constants.scale, *(mask / 255 for mask in masks)]
        return to_images(self._net(*(part.contiguous() for part in inputs)), constants)[: len(photos)]

    def _stacks(self, photos: Sequence[Sequence[Image]]) -> list[Tensor]:
        images = self._stacked([crops[0] for crops in photos])
        return [images, self._stacked([crops[1][..., None] for crops in photos])] if self.refines else [images]

    def _filled_up(self, drawn: Sequence[Tensor]) -> list[Tensor]:
        missing = self._batch_size - len(drawn[0])
        return [torch.nn.functional.pad(part, (0,) * 7 + (missing,)) for part in drawn]

    def _stacked(self, images: Sequence[Image]) -> Tensor:
        """(B, C, S, S): the middle of each, then zeros."""
        inner = slice(self._edge, len(images[0]) - self._edge)
        windows = np.stack(images)[:, inner, inner]
        batch = np.zeros((self._batch_size, *windows.shape[1:]), np.uint8)
        batch[: len(images)] = windows
        return torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()


def weights_path(model: str) -> Path:
    """Where the weights of a model lie, as ``--model`` names it."""
    return BUILT_IN.get(model, Path(model))
