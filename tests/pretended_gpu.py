"""A GPU that is not there: torch's fake tensors on a device "cuda" follow its rules, but hold no values.

What runs inside :func:`pretended_gpu` raises where a real GPU would because tensors of two devices meet. Numbers that
Python reads from tensors are ones, and where the size of a result depends on values it is :data:`SOME`. Gradients
are not computed: torch starts a thread for each real GPU to do so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pipelines.train.fabric import open_fabric

GPU = torch.device("cuda", 0)
SOME = 5  # the size of what depends on values
_METHODS: dict[Any, Callable[..., Any]] = {  # what fake tensors cannot do -> what is done instead
    Tensor.item: lambda tensor: 1,
    Tensor.__bool__: lambda tensor: True,
    Tensor.__float__: lambda tensor: 1.0,
    Tensor.__int__: lambda tensor: 1,
    Tensor.__index__: lambda tensor: 1,
    Tensor.tolist: lambda tensor: _numpy(tensor).tolist(),
    Tensor.numpy: lambda tensor: _numpy(tensor),
    Tensor.__deepcopy__: lambda tensor, memo: tensor.clone(),
    Tensor.new_tensor: lambda tensor, data: _zeros(data, tensor.dtype, tensor.device),
    torch.tensor: lambda data, dtype=None, device=None: _zeros(data, dtype, device),
}


class _Reading(TorchFunctionMode):
    """Gives Python ones for values; numpy takes tensors from the CPU only."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is Tensor.numpy and args[0].device.type != "cpu":
            raise TypeError(f"can't convert {args[0].device} device type tensor to numpy; use Tensor.cpu() first")
        if function in _METHODS:
            return _METHODS[function](*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))


class _Sizes(TorchDispatchMode):
    """Gives results whose size depends on values :data:`SOME` rows; checks indices, which fake tensors do not."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function.overloadpacket.__name__
        if name == "nonzero":
            return args[0].new_empty((SOME, args[0].ndim), dtype=torch.long)
        if name == "repeat_interleave" and isinstance(args[-1], Tensor):  # else by one number, for all
            _require_one_device(function, args[0], args[-1])
            return args[0].new_empty((SOME, *args[0].shape[1:]))
        if name in ("index", "index_put", "index_put_"):
            args = (args[0], [_places(function, args[0], index) for index in args[1]], *args[2:])
        return function(*args, **(kwargs or {}))


def _places(function: Any, of: Tensor, index: Tensor | None) -> Tensor | None:
    """A mask as numbers of places."""
    if index is None:
        return None
    if index.device.type != "cpu":
        _require_one_device(function, of, index)
    return index.new_empty((SOME,), dtype=torch.long) if index.dtype == torch.bool else index


def _require_one_device(function: Any, one: Tensor, other: Tensor) -> None:
    if one.device != other.device:
        raise RuntimeError(f"{function}: found at least two devices, {one.device} and {other.device}")


def _numpy(tensor: Tensor) -> Any:
    return np.ones(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))


def _zeros(data: Any, dtype: torch.dtype | None, device: Any) -> Tensor:
    kind = torch.get_default_dtype() if isinstance(np.ravel(data)[0], float) else torch.long
    return torch.zeros(np.shape(data), dtype=dtype or kind, device=device)


def _move(module: nn.Module, function: Any, recurse: bool = True) -> nn.Module:
    """``nn.Module._apply`` that keeps parameters what they are, as real ones do: optimizers hold them."""
    for child in module.children():
        child._apply(function)
    for parts in (module._parameters, module._buffers):
        for name, tensor in parts.items():
            if isinstance(tensor, FakeTensor):
                tensor.fake_device = function(tensor.detach()).device
            elif tensor is not None:  # loaded from a file
                moved = function(tensor.detach())
                parts[name] = nn.Parameter(moved, tensor.requires_grad) if parts is module._parameters else moved
    return module


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """Pretend that there is a GPU, for tensors made inside."""
    if not torch.backends.cuda.is_built():
        pytest.skip("this torch knows no CUDA devices")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "_apply", _move)
        patch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
        patch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: True)
        with FakeTensorMode(allow_non_fake_inputs=True), _Sizes(), _Reading():  # type: ignore[no-untyped-call]
            yield GPU


def pretended_fabric(precision: str = "32") -> Fabric:
    """Fabric on the pretended GPU; a backward pass only checks the loss, and gives each parameter a gradient."""
    fabric = open_fabric("32", "cpu", 1)
    strategy: Any = fabric._strategy
    strategy._root_device = GPU
    strategy.accelerator.setup_device = lambda device: None
    if precision == "bf16":
        strategy.precision = MixedPrecision("bf16-mixed", "cuda")
    strategy.backward = _backward
    return fabric


def _backward(loss: Tensor, module: Any, *args: Any, inputs: list[Tensor], **kwargs: Any) -> None:
    assert loss.device == GPU and loss.ndim == 0 and loss.requires_grad
    for parameter in inputs:
        assert parameter.device == GPU
        parameter.grad = torch.zeros_like(parameter)
