"""A trained generator in use: what names one, and how it is fed. The one place that knows the names of models."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.checkpoint import load_generator
from pipelines.runs import to_images
from toolkit.errors import CheckpointError

Image = NDArray[np.uint8]
NOT_YET = ("refiner",)


class Generator:
    """A trained generator, fed with crops of its own kind.

    Every pass has the same shape, short ones filled up with zeros: on the CPU a face's
    result then depends on that face alone, bit for bit, whatever else is in the batch, and
    a resumed run equals an undisturbed one.

    Args:
        path: its ``generator.safetensors``.
        batch_size: faces per pass.
        device: where it runs.

    Attributes:
        card: what it was trained on.
        side: of the crops that it is given, px. Recipes that train on random windows of
            slightly larger crops are shown the middle one.

    Raises:
        CheckpointError: no such file, not one of ours, or one that is not shown photos.
    """

    def __init__(self, path: Path, batch_size: int, device: torch.device) -> None:
        self._net, self.card = load_generator(path, device)
        if self.card.architecture == "attributes":
            raise CheckpointError(f"model {path}: draws faces from traits, not from photos; use `frontalize generate`")
        self.side = self.card.load_size or self.card.image_size
        self._edge = (self.side - self.card.image_size) // 2
        self._shape = (batch_size, self.card.image_size, self.card.image_size, 3)
        self._device = device

    @torch.inference_mode()
    def __call__(self, crops: Sequence[Image]) -> list[Image]:
        """Up to a batch of (S, S, 3) RGB crops, S the side -> as many frontal faces of the card's size."""
        batch = np.zeros(self._shape, np.uint8)
        inner = slice(self._edge, self._edge + self.card.image_size)
        batch[: len(crops)] = np.stack(crops)[:, inner, inner]
        constants = self.card.normalization
        numbers = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2).float()
        made = self._net(((numbers - constants.mean) / constants.scale).contiguous())
        return to_images(made, constants)[: len(crops)]


def weights_path(model: str) -> Path:
    """Where the weights of a model lie, as ``--model`` names it.

    Raises:
        CheckpointError: a built-in model that is still to come.
    """
    if model in NOT_YET:
        raise CheckpointError(
            f"model={model!r}: not built in yet; use geometric, or give the path of a run's generator.safetensors"
        )
    return Path(model)
