"""Modules in torch's file format of before 1.6, read without running anything that the file says.

Such a file is five pickles and then the storages' bytes. torch's own ``weights_only`` reader refuses
the form in which whole modules stand there, so this one reads it: it knows tensors, ordered
dictionaries and the names it is given, which become empty shells; any other name is refused.
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
MOST_NOTES = 1 << 20  # a pickle numbers what it refers to again, and its reader makes room for the highest number
DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
}


class Shell:
    """Stands for any module: keeps its state, does nothing."""

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
        if [_plain(file), _plain(file)] != [MAGIC, PROTOCOL]:
            raise pickle.UnpicklingError("not in torch's format")
        _plain(file)  # byte order and sizes of the machine that wrote it
        reader = _checked(file, names)
        module = reader.load()
        for key in _plain(file):
            storage = reader.storages[key]
            count = int.from_bytes(file.read(8), "little")
            data = file.read(count * storage.element_size())
            if count != len(storage) or len(data) != count * storage.element_size():
                raise pickle.UnpicklingError("the file is cut short")
            storage.copy_(torch.frombuffer(bytearray(data), dtype=storage.dtype))
    return module


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes], names: Collection[str]) -> None:
        super().__init__(file, encoding="utf-8")
        self._names, self._room = names, os.fstat(file.fileno()).st_size
        self.storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in self._names:
            return Shell
        if full in _KNOWN:
            return _KNOWN[full]
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"it names {full}, which weights have no use for")

    def persistent_load(self, pid: Any) -> Any:
        kind, *rest = pid
        if kind == "module":  # with its source code, which is not looked at
            return rest[0]
        dtype, key, _, count, view = rest
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it holds a {kind} of a kind that weights have no use for")
        if key not in self.storages:
            self._room -= count * dtype.itemsize
            if self._room < 0:
                raise pickle.UnpicklingError("its tensors are larger than the file")
            self.storages[key] = torch.zeros(count, dtype=dtype)
        return self.storages[key]


def _plain(file: IO[bytes]) -> Any:
    """A pickle of numbers, texts and lists."""
    return _checked(file, ()).load()


def _checked(file: IO[bytes], names: Collection[str]) -> _Reader:
    """A reader of the next pickle in the file, once it is known that it is one and takes no more memory than it has
    bytes: a single number could ask for sixty gigabytes."""
    start = file.tell()
    for operation, argument, _ in pickletools.genops(file):
        if operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > MOST_NOTES:
            raise pickle.UnpicklingError(f"it numbers more than {MOST_NOTES:,} of its parts")
    file.seek(start)
    return _Reader(file, names)


def _tensor(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    """A view of a storage, whose bytes come later in the file."""
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _itself(data: Any = None, *_: Any) -> Any:
    return data


_KNOWN: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "__builtin__.set": set,
    "builtins.set": set,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _itself,
    "torch.nn.parameter.Parameter": _itself,
    "torch.nn.backends.thnn._get_thnn_function_backend": _itself,  # modules of torch 0.4 carry it
}
