"""Read modules in torch's file format of before 1.6, without running code of the file.

Such a file is five pickles, then the bytes of the storages. torch's ``weights_only`` reader refuses modules in this
format. This reader knows tensors, ordered dictionaries and the names that it is given, which become :class:`Shell`;
it refuses any other name.
"""

import os
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_MEMO_INDEX = 1 << 20  # of objects that a pickle refers to again: its reader allocates up to the highest index
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
}


class Shell:
    """Replaces any module: keeps its state and does nothing."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state


def read_legacy_module(path: Path, names: Collection[str]) -> Any:
    """Read a pickled module.

    Args:
        path: the file.
        names: full names of classes that may occur in it; they become :class:`Shell`.

    Raises:
        pickle.UnpicklingError: another format, or the file names anything else.
    """
    with path.open("rb") as file:
        if [_load_plain(file), _load_plain(file)] != [MAGIC, PROTOCOL]:
            raise pickle.UnpicklingError("not in torch's format")
        _load_plain(file)  # byte order and sizes of the machine that wrote it
        reader = _make_reader(file, names)
        module = reader.load()
        for key in _load_plain(file):
            storage = reader.storages[key]
            count = int.from_bytes(file.read(8), "little")
            data = file.read(count * storage.element_size())
            if count != len(storage) or len(data) != count * storage.element_size():
                raise pickle.UnpicklingError("the file is truncated")
            storage.copy_(torch.frombuffer(bytearray(data), dtype=storage.dtype))
    return module


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes], names: Collection[str]) -> None:
        super().__init__(file, encoding="utf-8")
        self._names, self._bytes_left = names, os.fstat(file.fileno()).st_size
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in self._names:
            return Shell
        if full in _KNOWN:
            return _KNOWN[full]
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"it names {full}, which is neither a tensor nor a known layer")

    def persistent_load(self, pid: Any) -> Any:
        kind, *rest = pid
        if kind == "module":  # the rest is its source code, which is ignored
            return rest[0]
        dtype, key, _, count, view = rest
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it holds a {kind}, which is no plain storage")
        if key not in self.storages:
            self._bytes_left -= count * dtype.itemsize
            if self._bytes_left < 0:
                raise pickle.UnpicklingError("its tensors are larger than the file")
            self.storages[key] = torch.zeros(count, dtype=dtype)
        return self.storages[key]


def _load_plain(file: IO[bytes]) -> Any:
    """Load a pickle of numbers, strings and lists."""
    return _make_reader(file, ()).load()


def _make_reader(file: IO[bytes], names: Collection[str]) -> _Reader:
    """Return a reader of the next pickle, after a check that its memo is small: one index could allocate 60 GB."""
    start = file.tell()
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > MAX_MEMO_INDEX:
            raise pickle.UnpicklingError(f"its memo has more than {MAX_MEMO_INDEX:,} objects")
    file.seek(start)
    return _Reader(file, names)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    """Return a view of a storage, whose bytes are read later."""
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _first(data: Any = None, *_: Any) -> Any:
    return data


_KNOWN: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "__builtin__.set": set,
    "builtins.set": set,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _first,
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.backends.thnn._get_thnn_function_backend": _first,  # in modules of torch 0.4
}
