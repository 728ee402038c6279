"""A trained generator, ready for images, and the names of built-in models."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import models
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.gpu_views import ViewRenderer
from pipelines.weights.normalization import to_images
from pipelines.weights.recipe_file import known_networks
from toolkit.errors import CheckpointError, ConfigError
from toolkit.photos.types import Image
from toolkit.views.frontal import ViewInputs

NetworkInput = Sequence[Image] | ViewInputs  # of one photo
CPU_BATCH_SIZE = 8  # faces per pass and thread; more are not faster
BUILT_IN = {"refiner": Path(models.__file__).parent / "weights" / "refiner.safetensors"}


class Generator:
    """Runs a trained generator on the kind of images that it was trained on.

    Every pass has the same shape, short batches are padded with zeros, and on the CPU each pass runs on one thread,
    several passes in parallel. So the result for a face does not depend on the other faces of its batch nor on the
    number of cores, bit for bit: a resumed run equals an uninterrupted one, and a cluster equals one machine.

    Args:
        path: its ``generator.safetensors``.
        batch_size: faces per pass on a GPU.
        device: where it runs.
        size: of the views that are rendered from :class:`ViewInputs`, pixels; None: the card's.
        recipe: the user's recipe file that defines its network, where that is not built in.

    Attributes:
        card: the settings that it was trained with.
        takes_frontal_view: it takes geometric frontal views with their visibility; the others take crops.
        side: of the crops that it takes, px. Of recipes that train on random windows of slightly larger crops, the
            network gets the middle window. Frontal views may have any side.

    Raises:
        ConfigError: the recipe file cannot be used.
        CheckpointError: the weights cannot be used, or their network takes no photos.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        device: torch.device,
        size: int | None = None,
        recipe: Path | None = None,
    ) -> None:
        self._net, self.card = load_generator(path, device, known_networks(recipe))
        if not getattr(self._net, "takes_photo", True):
            raise CheckpointError(
                f"model {path}: generates faces from attributes, not from photos; use `frontalize generate`"
            )
        self.takes_frontal_view = bool(getattr(self._net, "takes_frontal_view", False))
        self.side = self.card.load_size or self.card.image_size
        self._edge = (self.side - self.card.image_size) // 2
        self._batch_size, self._device = CPU_BATCH_SIZE if device.type == "cpu" else batch_size, device
        self._render = ViewRenderer(size or self.card.image_size, device)
        self._threads = ThreadPoolExecutor(
            torch.get_num_threads() if device.type == "cpu" else 1, initializer=torch.set_num_threads, initargs=(1,)
        )

    def __call__(self, photos: Sequence[NetworkInput]) -> list[Image]:
        """Generate a frontal face for each photo, (S, S, 3) RGB.

        Args:
            photos: for each its crop, (S, S, 3) RGB, S the attribute ``side``; or, where it takes frontal views, the
                view, (S, S, 3) RGB, and its visibility, (S, S) uint8, or the view's inputs. All must be of one kind.

        Returns:
            Faces of the card's size, or of the size of the views.

        Raises:
            ConfigError: the device has no memory for one face. Where it has none for a batch, the batch size is
                halved, from then on.
        """
        parts = [photos[start : start + self._batch_size] for start in range(0, len(photos), self._batch_size)]
        try:
            return [face for faces in self._threads.map(self._pass, parts) for face in faces]
        except torch.OutOfMemoryError as error:
            if self._batch_size == 1:
                raise ConfigError(
                    f"{self._device} has no memory for one face; use a smaller --size or --device cpu"
                ) from error
        self._batch_size = -(-self._batch_size // 2)
        torch.cuda.empty_cache()
        return self(photos)

    @torch.inference_mode()
    def _pass(self, photos: Sequence[NetworkInput]) -> list[Image]:
        normalization = self.card.normalization
        views = [photo for photo in photos if isinstance(photo, ViewInputs)]
        crops = [photo for photo in photos if not isinstance(photo, ViewInputs)]
        images, *masks = self._pad_batch(self._render(views)) if views else self._stack(crops)
        images = (images - normalization.mean) / normalization.scale
        inputs = [images, *(mask / 255 for mask in masks)]
        return to_images(self._net(*(part.contiguous() for part in inputs)), normalization)[: len(photos)]

    def _pad_batch(self, rendered: Sequence[Tensor]) -> list[Tensor]:
        missing = self._batch_size - len(rendered[0])
        return [torch.nn.functional.pad(part, (0,) * 7 + (missing,)) for part in rendered]

    def _stack(self, photos: Sequence[Sequence[Image]]) -> list[Tensor]:
        images = self._stack_windows([crops[0] for crops in photos])
        if not self.takes_frontal_view:
            return [images]
        return [images, self._stack_windows([crops[1][..., None] for crops in photos])]

    def _stack_windows(self, images: Sequence[Image]) -> Tensor:
        """(B, C, S, S): the middle window of each image, then zeros."""
        inner = slice(self._edge, len(images[0]) - self._edge)
        windows = np.stack(images)[:, inner, inner]
        batch = np.zeros((self._batch_size, *windows.shape[1:]), np.uint8)
        batch[: len(images)] = windows
        return torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()


def weights_path(model: str) -> Path:
    """Return the weights file of a model as ``--model`` names it: a built-in one, or a path."""
    return BUILT_IN.get(model, Path(model))
