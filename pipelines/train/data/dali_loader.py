"""Pair batches by NVIDIA DALI: files decoded by native threads, on the GPU where there is one.

On a GPU, DALI also resizes. On the CPU its resize takes four times as long as torch's, which gives
Pillow's pixels exactly, so there torch does it.

DALI is handed the bytes of files, and only of those that it decodes as `toolkit.photos.decode` does. All others are
decoded there, and handed over as plain pixels, or found damaged and replaced.

The only file that imports DALI, and only when used: everything else works without it.
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

from pipelines.train.data.batches import Feed, PairBatch
from pipelines.train.data.pair_reader import PairReader, Sample
from toolkit.errors import ConfigError
from toolkit.photos.decode import decode_photo, read_bytes
from toolkit.photos.files import encode_image

_AHEAD = 2  # batches that DALI decodes while the trainer has another

# T.81, table B.1: what may follow 0xFF in the compressed data of a sound file is a stuffed zero, a restart, another
# table or scan, or the end; libjpeg makes grey of anything else, where Pillow stops.
_DAMAGE = re.compile(rb"\xff[\x01-\xbf]")
Encoded = list[NDArray[np.uint8]]


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
        self._reader = PairReader(feed, self._read)
        self._refused: set[str] = set()  # files that DALI cannot decode, whatever they look like
        self.replaced = self._reader.damaged

    def batches(self, first: int, last: int) -> Iterator[PairBatch]:
        """See :class:`pipelines.train.data.batches.Loader`."""
        with ThreadPoolExecutor(self._feed.workers) as pool:
            while first < last:
                in_hand: deque[list[Sample[bytes]]] = deque()
                pipeline = _pipeline(self._feed, self._device, self._encoded(pool, range(first, last), in_hand))
                for step in range(first, last):
                    try:
                        [images] = pipeline.run()
                    except RuntimeError as error:
                        self._refuse(list(chain.from_iterable(in_hand)), error)
                        break  # the pipeline is of no more use: a new one goes on from here
                    yield self._batch(step, in_hand.popleft(), images)
                    first = step + 1

    def _encoded(
        self, pool: ThreadPoolExecutor, steps: range, in_hand: deque[list[Sample[bytes]]]
    ) -> Iterator[Encoded]:
        """What DALI is fed, step by step: all inputs, then all targets, then all second inputs. One step is read ahead.

        Raises:
            DatasetError: no pair can be decoded.
        """
        ahead: deque[list[Any]] = deque()
        for step in chain(steps, [None]):
            if step is not None:
                indices, uniform = self._feed.indices(step), self._feed.uniform(step)
                parts = np.array_split(np.arange(len(indices)), self._feed.workers)
                tasks = [(indices[part].tolist(), uniform[part]) for part in parts if len(part)]
                ahead.append([pool.submit(self._reader.samples, *task) for task in tasks])
            if len(ahead) > 1 or step is None:
                samples = [sample for part in ahead.popleft() for sample in part.result()]
                in_hand.append(samples)
                roles = zip(*(sample.images for sample in samples), strict=True)
                yield [np.frombuffer(data, np.uint8) for role in roles for data in role]

    def _read(self, file: str) -> bytes:
        """A file's bytes, or its pixels as an uncompressed PPM.

        Raises:
            PhotoError: it cannot be decoded.
        """
        data = read_bytes(Path(file))
        if decoded_alike(data) and file not in self._refused:
            return data
        pixels = decode_photo(data)
        return b"P6 %d %d 255\n" % pixels.shape[1::-1] + pixels.tobytes()

    def _refuse(self, samples: Sequence[Sample[bytes]], error: RuntimeError) -> None:
        """DALI says what went wrong but not in which file: try each of those in hand, and remember."""
        files = {file: data for sample in samples for file, data in zip(sample.files, sample.images, strict=True)}
        decodes = _try_each(list(files.values()), self._device)
        refused = {file for file, does in zip(files, decodes, strict=True) if not does} - self._refused
        if not refused:
            raise error
        self._refused |= refused

    def _batch(self, step: int, samples: Sequence[Sample[bytes]], images: Any) -> PairBatch:
        index, second = np.array([[sample.index for sample in samples], [sample.second for sample in samples]])
        planes = self._to_torch(images).unflatten(0, (-1, len(samples)))
        return self._feed.batch(planes, index, second, self._feed.uniform(step))

    def _to_torch(self, images: Any) -> Tensor:
        """(N, 3, L, L) uint8; channels last in memory, and on the CPU maybe DALI's own, which it uses again."""
        if self._device.type == "cpu":
            return self._resized(images)
        from nvidia.dali.plugin.pytorch import feed_ndarray

        size = self._feed.load_size
        batch = torch.empty(len(images), size, size, 3, dtype=torch.uint8, device=self._device)
        feed_ndarray(images.as_tensor(), batch, cuda_stream=torch.cuda.current_stream(self._device))
        return batch.permute(0, 3, 1, 2)

    def _resized(self, images: Any) -> Tensor:
        if images.is_dense_tensor():  # one size, as in most sets: one call
            return self._fitted(from_dlpack(images.as_tensor()))
        return torch.cat([self._fitted(from_dlpack(image)[None]) for image in images])

    def _fitted(self, pixels: Tensor) -> Tensor:
        size = (self._feed.load_size,) * 2
        planes = pixels.permute(0, 3, 1, 2)
        return planes if planes.shape[2:] == size else interpolate(planes, size, mode="bilinear", antialias=True)


def decoded_alike(data: bytes) -> bool:
    """Whether DALI and :func:`toolkit.photos.decode.decode_photo` make the same of a file: complete, plain RGB or grey.

    Not so colour profiles, orientations in XMP, transparency, 16 bits, and forms that DALI does not know.
    """
    if data[:3] == b"\xff\xd8\xff":
        # Of the first scan, maybe a thumbnail's: that costs no more than a needless decode by Pillow.
        scan = data.find(b"\xff\xda")
        profiled = data.find(b"ICC_PROFILE", 0, scan) >= 0 or data.find(b"ns.adobe.com/xap", 0, scan) >= 0
        return data[-2:] == b"\xff\xd9" and scan > 0 and not profiled and not _DAMAGE.search(data, scan)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        head = data[: data.find(b"IDAT")]
        plain = data[24:25] == b"\x08" and data[25:26] in (b"\x00", b"\x02")  # bit depth; grey or RGB
        return plain and data[-8:-4] == b"IEND" and not re.search(rb"iCCP|tRNS|eXIf|iTXt", head)
    return data[8:16] == b"WEBPVP8 " and len(data) >= 8 + int.from_bytes(data[4:8], "little")


def _import_dali() -> Any:
    try:
        from nvidia import dali
    except ImportError as error:
        raise ConfigError("DALI is not installed; `pip install nvidia-dali-cuda120`, or use --loader torch") from error
    return dali


def _pipeline(feed: Feed, device: torch.device, encoded: Iterator[Encoded]) -> Any:
    """Bytes -> RGB, on a GPU also -> size; inputs, targets and second inputs as one batch."""
    from nvidia.dali import fn, pipeline_def, types

    on_gpu = device.type == "cuda"

    @pipeline_def(  # type: ignore[untyped-decorator]
        batch_size=feed.batch_size * feed.needs.roles,
        num_threads=feed.workers,
        # None, not 0: DALI then never asks for libcuda
        device_id=(device.index or 0) if on_gpu else None,
        prefetch_queue_depth=_AHEAD,
    )
    def images() -> Any:
        data = fn.external_source(source=encoded, batch=True)
        pixels = fn.decoders.image(data, device="mixed" if on_gpu else "cpu", output_type=types.RGB)
        if not on_gpu:
            return pixels
        return fn.resize(pixels, size=[feed.load_size] * 2, interp_type=types.INTERP_LINEAR, antialias=True)

    return _built(images)


def _try_each(files: Sequence[bytes], device: torch.device) -> list[bool]:
    """Which of these files DALI decodes; a pipeline that meets a bad one is of no more use."""
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
    """Decode one drawn JPEG, to see whether DALI works here; its height and width.

    Raises:
        ConfigError: DALI is not installed.
        RuntimeError: it is, and does not work.
    """
    _import_dali()
    jpeg = encode_image(np.full((16, 16, 3), 128, np.uint8), ".jpg")
    height, width, _ = _one_by_one([jpeg], device).run()[0].as_tensor().shape()[1:]
    return height, width


def _one_by_one(files: Sequence[bytes], device: torch.device) -> Any:
    """A pipeline that decodes one file at each run, and none ahead."""
    from nvidia.dali import fn, pipeline_def

    on_gpu = device.type == "cuda"
    source = ([np.frombuffer(data, np.uint8)] for data in files)

    @pipeline_def(  # type: ignore[untyped-decorator]
        batch_size=1, num_threads=1, device_id=(device.index or 0) if on_gpu else None, prefetch_queue_depth=1
    )
    def one() -> Any:
        return fn.decoders.image(fn.external_source(source=source), device="mixed" if on_gpu else "cpu")

    return _built(one)


def _built(make: Callable[[], Any]) -> Any:
    pipeline = make()
    pipeline.build()
    return pipeline
