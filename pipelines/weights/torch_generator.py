"""A trained generator, run by torch: on a GPU, or on the CPU with weights of a user's run."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.refiner import Refined
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.generator import CPU_BATCH_SIZE, GeneratedFace, NetworkInput
from pipelines.weights.gpu_views import ViewRenderer
from pipelines.weights.normalization import to_images
from pipelines.weights.recipe_file import known_networks
from toolkit.errors import CheckpointError, ConfigError
from toolkit.photos.types import Image
from toolkit.views.frontal import ViewInputs


class TorchGenerator:
    """Runs a trained generator; see :class:`pipelines.weights.generator.Generator`.

    Every pass has the same shape, and short batches are padded with zeros: the result of torch's kernels for a face
    depends on the shape of the batch.

    Args:
        path: its ``generator.safetensors``.
        batch_size: faces per pass on a GPU.
        device: where it runs, ``cpu`` or ``cuda:i``.
        size: of the views that are rendered from :class:`ViewInputs`, pixels; None: the card's.
        recipe: the user's recipe file that defines its network, where that is not built in.

    Raises:
        ConfigError: the recipe file cannot be used.
        CheckpointError: the weights cannot be used, or their network takes no photos.
    """

    def __init__(
        self,
        path: Path,
        batch_size: int,
        device: str,
        size: int | None = None,
        recipe: Path | None = None,
    ) -> None:
        self._device = torch.device(device)
        self._net, self.card = load_generator(path, self._device, known_networks(recipe))
        if not getattr(self._net, "takes_photo", True):
            raise CheckpointError(
                f"model {path}: generates faces from attributes, not from photos; use `frontalize generate`"
            )
        self.takes_frontal_view = bool(getattr(self._net, "takes_frontal_view", False))
        self.gives_confidence = bool(getattr(self._net, "gives_confidence", False))
        self.side = self.card.load_size or self.card.image_size
        self._edge = (self.side - self.card.image_size) // 2
        on_cpu = self._device.type == "cpu"
        self._batch_size = CPU_BATCH_SIZE if on_cpu else batch_size
        self._render = ViewRenderer(size or self.card.image_size, self._device)
        self._threads = ThreadPoolExecutor(
            torch.get_num_threads() if on_cpu else 1, initializer=torch.set_num_threads, initargs=(1,)
        )

    def __call__(self, photos: Sequence[NetworkInput]) -> list[GeneratedFace]:
        """See :class:`pipelines.weights.generator.Generator`."""
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
    def _pass(self, photos: Sequence[NetworkInput]) -> list[GeneratedFace]:
        normalization = self.card.normalization
        views = [photo for photo in photos if isinstance(photo, ViewInputs)]
        crops = [photo for photo in photos if not isinstance(photo, ViewInputs)]
        images, *others = self._pad_batch(self._render(views)) if views else self._stack(crops)
        images = (images - normalization.mean) / normalization.scale
        inputs = [images]
        if others:
            visibility, unmirrored = others
            inputs += [visibility / 255, (unmirrored - normalization.mean) / normalization.scale]
        output: Tensor | Refined = self._net(*(part.contiguous() for part in inputs))
        faces, confidences = (output.image, output.confidence.tolist()) if isinstance(output, Refined) else (output, [])
        given = zip_longest(to_images(faces, normalization), confidences)
        return [GeneratedFace(*face) for face in given][: len(photos)]

    def _pad_batch(self, rendered: Sequence[Tensor]) -> list[Tensor]:
        missing = self._batch_size - len(rendered[0])
        return [torch.nn.functional.pad(part, (0,) * 7 + (missing,)) for part in rendered]

    def _stack(self, photos: Sequence[Sequence[Image]]) -> list[Tensor]:
        parts: Iterable[Sequence[Image]] = zip(*photos, strict=True)
        return [self._stack_windows(part) for part in parts]

    def _stack_windows(self, images: Sequence[Image]) -> Tensor:
        """(B, C, S, S): the middle window of each image, then zeros."""
        inner = slice(self._edge, len(images[0]) - self._edge)
        windows = np.stack(images)[:, inner, inner]
        windows = windows if windows.ndim == 4 else windows[..., None]
        batch = np.zeros((self._batch_size, *windows.shape[1:]), np.uint8)
        batch[: len(images)] = windows
        return torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()
