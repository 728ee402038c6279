"""The built-in refiner, run by ONNX Runtime on the CPU."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from pipelines.runtime.config import all_cores
from pipelines.weights.card import read_card
from pipelines.weights.generator import CPU_BATCH_SIZE, GeneratedFace, NetworkInput
from pipelines.weights.normalization import denormalize, normalize
from toolkit.networks.runtime import OnnxNetwork
from toolkit.photos.types import Image
from toolkit.views.frontal import ViewInputs

MAX_PIXELS = 4 * 128 * 128  # of the views in a pass; more are not faster, and take memory


class OnnxGenerator:
    """Runs a refiner that `frontalize export` wrote; see :class:`pipelines.weights.generator.Generator`.

    Args:
        path: its ``.safetensors``, beside which lies its ``.onnx``.

    Raises:
        ConfigError: one of the two files is missing or damaged.
    """

    takes_frontal_view = gives_confidence = True

    def __init__(self, path: Path) -> None:
        self.card = read_card(path)
        self.side = self.card.image_size
        self._network = OnnxNetwork(path.with_suffix(".onnx"), "model ", "install frontalize again")
        self._threads = ThreadPoolExecutor(_thread_count())

    def __call__(self, photos: Sequence[NetworkInput]) -> list[GeneratedFace]:
        """See :class:`pipelines.weights.generator.Generator`."""
        views = [photo for photo in photos if not isinstance(photo, ViewInputs)]
        if len(views) < len(photos):
            raise ValueError("inputs of views are for GPUs; on the CPU this generator takes the views themselves")
        count = _per_pass(len(views[0][0])) if views else 1
        parts = [views[start : start + count] for start in range(0, len(views), count)]
        return [face for faces in self._threads.map(self._pass, parts) for face in faces]

    def _pass(self, photos: Sequence[Sequence[Image]]) -> list[GeneratedFace]:
        constants = self.card.normalization
        views, masks, unmirrored = (np.stack(images) for images in zip(*photos, strict=True))
        visibility = masks[:, None].astype(np.float32) / np.float32(255)
        faces, confidences = self._network(normalize(views, constants), visibility, normalize(unmirrored, constants))
        images = denormalize(faces, constants)
        return [GeneratedFace(*face) for face in zip(images, confidences.tolist(), strict=True)]


def _per_pass(side: int) -> int:
    return max(1, min(CPU_BATCH_SIZE, MAX_PIXELS // side**2))


def _thread_count() -> int:
    """Passes at a time: one per core, or what OMP_NUM_THREADS says, as with torch. Ray sets it for its processes."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(given) if given.isdecimal() and int(given) else all_cores()
