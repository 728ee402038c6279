"""Pair batches by NVIDIA DALI: files read and decoded by native threads, on the GPU where there is one.

On a GPU, DALI also resizes and normalizes. On the CPU its resize takes four times as long as
torch's, which gives Pillow's pixels exactly, so there torch does both.

The only file that imports DALI, and only when used: everything else works without it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.dlpack import from_dlpack

from pipelines.batches import Feed, PairBatch, normalize
from toolkit.errors import ConfigError, DatasetError, PhotoError
from toolkit.images import encode_image
from toolkit.photos import read_photo


class DaliLoader:
    """Batches of a feed, two ahead of the trainer.

    Args:
        feed: what to load.
        device: where batches shall be; on a GPU, JPEGs are decoded there too ("mixed").

    Raises:
        ConfigError: DALI is not installed.
    """

    def __init__(self, feed: Feed, device: torch.device) -> None:
        _import_dali()
        self._feed, self._device = feed, device

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """See :class:`pipelines.batches.Loader`."""
        pipeline = _pipeline(self._feed, self._device, first)
        for step in range(first, last):
            try:
                inputs, targets = pipeline.run()
            except RuntimeError as error:
                raise _named(error, self._feed, range(step, step + 3)) from error
            yield PairBatch(self._to_torch(inputs), self._to_torch(targets))

    def _to_torch(self, images: Any) -> Tensor:
        """Copied out of DALI's buffers, which it uses again two batches later."""
        if self._device.type == "cpu":
            return normalize(self._resized(images), self._feed.normalization, self._device)
        from nvidia.dali.plugin.pytorch import feed_ndarray

        size = self._feed.image_size
        batch = torch.empty(self._feed.batch_size, 3, size, size, device=self._device)
        feed_ndarray(images.as_tensor(), batch, cuda_stream=torch.cuda.current_stream(self._device))
        return batch

    def _resized(self, images: Any) -> Tensor:
        """(B, 3, S, S) uint8 from images of any sizes, channels last in memory as DALI has them."""
        if images.is_dense_tensor():  # one size, as in most sets: one call
            return self._fitted(from_dlpack(images.as_tensor()))
        return torch.cat([self._fitted(from_dlpack(image)[None]) for image in images])

    def _fitted(self, pixels: Tensor) -> Tensor:
        size = (self._feed.image_size,) * 2
        planes = pixels.permute(0, 3, 1, 2)
        return planes if planes.shape[2:] == size else interpolate(planes, size, mode="bilinear", antialias=True)


def _import_dali() -> Any:
    try:
        from nvidia import dali
    except ImportError as error:
        raise ConfigError("DALI is not installed; `pip install nvidia-dali-cuda120`, or use --loader torch") from error
    return dali


def _pipeline(feed: Feed, device: torch.device, first: int) -> Any:
    """Paths -> bytes -> RGB, on a GPU also -> size -> normalized CHW floats; for inputs and targets alike."""
    from nvidia.dali import fn, pipeline_def, types

    on_gpu = device.type == "cuda"
    constants = feed.normalization

    def paths(step: int) -> tuple[list[NDArray[np.uint8]], ...]:
        return tuple([np.frombuffer(file.encode(), np.uint8) for file in files] for files in feed.files(first + step))

    def image(path: Any) -> Any:
        pixels = fn.decoders.image(fn.io.file.read(path), device="mixed" if on_gpu else "cpu", output_type=types.RGB)
        if not on_gpu:
            return pixels
        pixels = fn.resize(
            pixels, size=[feed.image_size, feed.image_size], interp_type=types.INTERP_LINEAR, antialias=True
        )
        return fn.crop_mirror_normalize(
            pixels,
            dtype=types.FLOAT,
            output_layout="CHW",
            mean=[constants.mean] * 3,
            std=[constants.scale] * 3,
        )

    # device_id None, not 0: DALI then never asks for libcuda
    device_id = (device.index or 0) if on_gpu else None

    @pipeline_def(  # type: ignore[untyped-decorator]
        batch_size=feed.batch_size, num_threads=feed.workers, device_id=device_id, prefetch_queue_depth=2
    )
    def pairs() -> tuple[Any, Any]:
        inputs, targets = fn.external_source(source=paths, num_outputs=2, batch=True)
        return image(inputs), image(targets)

    pipeline = pairs()
    pipeline.build()
    return pipeline


def _named(error: RuntimeError, feed: Feed, steps: range) -> Exception:
    """DALI says what went wrong but not in which file: look for it among the batches in hand."""
    for file in (file for step in steps for files in feed.files(step) for file in files):
        try:
            read_photo(Path(file))
        except PhotoError as reason:
            return DatasetError(f"{file}: {reason}; replace or remove the file")
    return error


def decode_once(device: torch.device) -> tuple[int, int]:
    """Decode one drawn JPEG, to see whether DALI works here; its height and width.

    Raises:
        ConfigError: DALI is not installed.
        RuntimeError: it is, and does not work.
    """
    _import_dali()
    from nvidia.dali import fn, pipeline_def

    jpeg = np.frombuffer(encode_image(np.full((16, 16, 3), 128, np.uint8), ".jpg"), np.uint8)
    on_gpu = device.type == "cuda"

    @pipeline_def(batch_size=1, num_threads=1, device_id=0 if on_gpu else None)  # type: ignore[untyped-decorator]
    def one() -> Any:
        return fn.decoders.image(fn.external_source(source=lambda: [jpeg]), device="mixed" if on_gpu else "cpu")

    pipeline = one()
    pipeline.build()
    height, width, _ = pipeline.run()[0].as_tensor().shape()[1:]
    return height, width
