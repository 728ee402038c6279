"""Pair batches by NVIDIA DALI: files are decoded by native threads, on the GPU where there is one.

On a GPU, DALI also resizes. On the CPU torch does: DALI's resize takes four times as long there, and torch's gives
Pillow's pixels exactly.

DALI gets the bytes of those files that it decodes exactly as `toolkit.photos.decode` does. All others are decoded by
`toolkit.photos.decode` and passed as uncompressed pixels; damaged ones are replaced.

This is the only file that imports DALI, and it does so only when used: everything else works without it.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.dlpack import from_dlpack

from pipelines.extras import require_extra
from pipelines.train.data.batches import LoaderSpec, PairBatch
from pipelines.train.data.pair_reader import PairReader, Sample
from toolkit.photos.decode import decode_photo, read_bytes
from toolkit.photos.files import encode_image

_PREFETCH = 2  # batches that DALI decodes ahead of the trainer

# T.81, table B.1: in the compressed data of an undamaged file, 0xFF is followed by a stuffed zero, a restart marker,
# another table or scan, or the end. On anything else libjpeg fills up with gray, and Pillow raises.
_DAMAGE = re.compile(rb"\xff[\x01-\xbf]")
Encoded = list[NDArray[np.uint8]]


class DaliLoader:
    """Decodes with DALI, two batches ahead of the trainer.

    Args:
        spec: what to load.
        device: of the batches; on a GPU, JPEGs are decoded there too ("mixed").

    Raises:
        ConfigError: DALI is not installed.
    """

    def __init__(self, spec: LoaderSpec, device: torch.device) -> None:
        _import_dali()
        self._spec, self._device = spec, device
        self._reader = PairReader(spec, self._read)
        self._refused: set[str] = set()  # files that DALI failed to decode although `is_decoded_alike`
        self.replaced = self._reader.damaged

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """See :class:`pipelines.train.data.batches.Loader`."""
        with ThreadPoolExecutor(self._spec.workers) as pool:
            while first < last:
                pending: deque[list[Sample[bytes]]] = deque()
                pipeline = _pipeline(self._spec, self._device, self._encoded(pool, range(first, last), pending))
                for step in range(first, last):
                    try:
                        [images] = pipeline.run()
                    except RuntimeError as error:
                        self._refuse(list(chain.from_iterable(pending)), error)
                        break  # a failed pipeline cannot go on: build a new one from this step
                    yield self._batch(step, pending.popleft(), images)
                    first = step + 1

    def _encoded(
        self, pool: ThreadPoolExecutor, steps: range, pending: deque[list[Sample[bytes]]]
    ) -> Iterator[Encoded]:
        """Yield DALI's input for each step: all inputs, then all targets, then all second inputs; reads one step ahead.

        Raises:
            DatasetError: no pair can be decoded.
        """
        ahead: deque[list[Any]] = deque()
        for step in chain(steps, [None]):
            if step is not None:
                indices, uniform = self._spec.indices(step), self._spec.uniform(step)
                parts = np.array_split(np.arange(len(indices)), self._spec.workers)
                tasks = [(indices[part].tolist(), uniform[part]) for part in parts if len(part)]
                ahead.append([pool.submit(self._reader.samples, *task) for task in tasks])
            if len(ahead) > 1 or step is None:
                samples = [sample for part in ahead.popleft() for sample in part.result()]
                pending.append(samples)
                roles = zip(*(sample.images for sample in samples), strict=True)
                yield [np.frombuffer(data, np.uint8) for role in roles for data in role]

    def _read(self, file: str) -> bytes:
        """Return a file's bytes, or its pixels as an uncompressed PPM.

        Raises:
            PhotoError: it cannot be decoded.
        """
        data = read_bytes(Path(file))
        if is_decoded_alike(data) and file not in self._refused:
            return data
        pixels = decode_photo(data)
        return b"P6 %d %d 255\n" % pixels.shape[1::-1] + pixels.tobytes()

    def _refuse(self, samples: Sequence[Sample[bytes]], error: RuntimeError) -> None:
        """Find the files that DALI cannot decode: its error names none, so each pending file is tried alone."""
        files = {file: data for sample in samples for file, data in zip(sample.files, sample.images, strict=True)}
        decodes = _try_each(list(files.values()), self._device)
        refused = {file for file, decoded in zip(files, decodes, strict=True) if not decoded} - self._refused
        if not refused:
            raise error
        self._refused |= refused

    def _batch(self, step: int, samples: Sequence[Sample[bytes]], images: Any) -> PairBatch:
        index, second = np.array([[sample.index for sample in samples], [sample.second for sample in samples]])
        planes = self._to_torch(images).unflatten(0, (-1, len(samples)))
        return self._spec.batch(planes, index, second, self._spec.uniform(step))

    def _to_torch(self, images: Any) -> Tensor:
        """Return (N, 3, L, L) uint8, channels last; on the CPU possibly a view of a buffer that DALI will reuse."""
        if self._device.type == "cpu":
            return self._resized(images)
        from nvidia.dali.plugin.pytorch import feed_ndarray

        size = self._spec.load_size
        batch = torch.empty(len(images), size, size, 3, dtype=torch.uint8, device=self._device)
        feed_ndarray(images.as_tensor(), batch, cuda_stream=torch.cuda.current_stream(self._device))
        return batch.permute(0, 3, 1, 2)

    def _resized(self, images: Any) -> Tensor:
        if images.is_dense_tensor():  # all of one size, as in most sets
            return self._resize(from_dlpack(images.as_tensor()))
        return torch.cat([self._resize(from_dlpack(image)[None]) for image in images])

    def _resize(self, pixels: Tensor) -> Tensor:
        size = (self._spec.load_size,) * 2
        planes = pixels.permute(0, 3, 1, 2)
        return planes if planes.shape[2:] == size else interpolate(planes, size, mode="bilinear", antialias=True)


def is_decoded_alike(data: bytes) -> bool:
    """Return whether DALI and :func:`toolkit.photos.decode.decode_photo` decode a file to the same pixels.

    That holds for complete files in plain RGB or gray. It does not for color profiles, orientations in XMP,
    transparency, 16 bits, and formats that DALI does not know.
    """
    if data[:3] == b"\xff\xd8\xff":
        # The first scan may be a thumbnail's; at worst Pillow then decodes a file that DALI could.
        scan = data.find(b"\xff\xda")
        profiled = data.find(b"ICC_PROFILE", 0, scan) >= 0 or data.find(b"ns.adobe.com/xap", 0, scan) >= 0
        return data[-2:] == b"\xff\xd9" and scan > 0 and not profiled and not _DAMAGE.search(data, scan)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        head = data[: data.find(b"IDAT")]
        plain = data[24:25] == b"\x08" and data[25:26] in (b"\x00", b"\x02")  # bit depth; gray or RGB
        return plain and data[-8:-4] == b"IEND" and not re.search(rb"iCCP|tRNS|eXIf|iTXt", head)
    return data[8:16] == b"WEBPVP8 " and len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _import_dali() -> Any:
    require_extra("train", "the loader dali", "nvidia.dali", instead="--loader torch")
    from nvidia import dali

    return dali


def _pipeline(spec: LoaderSpec, device: torch.device, encoded: Iterator[Encoded]) -> Any:
    """Build the pipeline: bytes to RGB, on a GPU also resized; inputs, targets and second inputs are one batch."""
    from nvidia.dali import fn, pipeline_def, types

    on_gpu = device.type == "cuda"

    @pipeline_def(  # type: ignore[untyped-decorator]
        batch_size=spec.batch_size * spec.batch_spec.files_per_pair,
        num_threads=spec.workers,
        # None, not 0: DALI then does not load libcuda
        device_id=(device.index or 0) if on_gpu else None,
        prefetch_queue_depth=_PREFETCH,
    )
    def images() -> Any:
        data = fn.external_source(source=encoded, batch=True)
        pixels = fn.decoders.image(data, device="mixed" if on_gpu else "cpu", output_type=types.RGB)
        if not on_gpu:
            return pixels
        return fn.resize(pixels, size=[spec.load_size] * 2, interp_type=types.INTERP_LINEAR, antialias=True)

    return _built(images)


def _try_each(files: Sequence[bytes], device: torch.device) -> list[bool]:
    """Return which of these files DALI decodes; each failure needs a new pipeline."""
    decodes: list[bool] = []
    while len(decodes) < len(files):
        pipeline = _one_by_one(files[len(decodes) :], device)
        try:
            while len(decodes) < len(files):
                pipeline.run()
                decodes.append(True)
        except RuntimeError:
            decodes.append(False)
    return decodes


def decode_once(device: torch.device) -> tuple[int, int]:
    """Decode one generated JPEG to test whether DALI works here; return its height and width.

    Raises:
        ConfigError: DALI is not installed.
        RuntimeError: it is installed and does not work.
    """
    _import_dali()
    jpeg = encode_image(np.full((16, 16, 3), 128, np.uint8), ".jpg")
    height, width, _ = _one_by_one([jpeg], device).run()[0].as_tensor().shape()[1:]
    return height, width


def _one_by_one(files: Sequence[bytes], device: torch.device) -> Any:
    """Build a pipeline that decodes one file per run, without prefetching."""
    from nvidia.dali import fn, pipeline_def

    on_gpu = device.type == "cuda"
    source = ([np.frombuffer(data, np.uint8)] for data in files)

    @pipeline_def(  # type: ignore[untyped-decorator]
        batch_size=1, num_threads=1, device_id=(device.index or 0) if on_gpu else None, prefetch_queue_depth=1
    )
    def image() -> Any:
        return fn.decoders.image(fn.external_source(source=source), device="mixed" if on_gpu else "cpu")

    return _built(image)


def _built(make: Callable[[], Any]) -> Any:
    pipeline = make()
    pipeline.build()
    return pipeline
