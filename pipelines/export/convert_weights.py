"""Stage: convert weights: a run's to half precision, or those of scaleway/frontalization to safetensors.

The published file of scaleway/frontalization is a pickled module, and unpickling runs code. The readers used here run
none: they know tensors and plain containers, and refuse every other name. The module's own classes and torch's layers
are replaced by :class:`pipelines.export.legacy_pickle.Shell`, which only keeps the state.
"""

import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from models.encoder_decoder import IMAGE_SIZE, LEVEL_MEAN, LEVEL_SCALE, EncoderDecoder
from pipelines.export.legacy_pickle import Shell, read_legacy_module
from pipelines.weights.checkpoint import GeneratorCard, load_generator, require_plain_zip, save_generator, weights_of
from pipelines.weights.normalization import Normalization
from pipelines.weights.recipe_file import known_networks
from toolkit.errors import CheckpointError

# The names in the published file: its own class, by where it may have been defined, and torch's layers.
_OWN = ("network.G", "__main__.G", "main.G", "models.G")
_LAYERS = (
    "container.Sequential",
    "conv.Conv2d",
    "conv.ConvTranspose2d",
    "batchnorm.BatchNorm2d",
    "activation.ReLU",
    "activation.LeakyReLU",
    "activation.Tanh",
    "activation.Sigmoid",
    "pooling.MaxPool2d",
)
_COUNTER = "num_batches_tracked"  # of batch norm; files of torch 0.4 lack it, and outputs do not depend on it


def halve_weights(path: Path, out: Path, recipe: Path | None = None) -> int:
    """Save a run's generator in half precision, with the same card.

    Args:
        path: a run, or its ``generator.safetensors``.
        out: a ``.safetensors`` file for ``frontalize batch --model``.
        recipe: the user's recipe file that defines its network, where that is not built in.

    Returns:
        The number of tensors.

    Raises:
        ConfigError: the weights or the recipe file cannot be used.
    """
    net, card = load_generator(weights_of(path), torch.device("cpu"), known_networks(recipe))
    save_generator(out, net.half(), card)
    return len(net.state_dict())


def convert_weights(path: Path, out: Path) -> int:
    """Convert a pickled generator of scaleway/frontalization to ``generator.safetensors``.

    Args:
        path: the published ``generator_v0.pt``, or a file that the training of scaleway/frontalization wrote.
        out: a ``.safetensors`` file for ``frontalize batch --model``.

    Returns:
        The number of tensors.

    Raises:
        CheckpointError: missing, not such a file, or it names anything but tensors and layers.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give a pickled generator of scaleway/frontalization")
    names = [*_OWN, *(f"torch.nn.modules.{layer}" for layer in _LAYERS)]
    try:
        module = _read(path, names)
        found = list(_tensors(module, set())) if isinstance(module, Shell) else []
    except (
        UnpicklingError,
        RuntimeError,
        OSError,
        ValueError,
        EOFError,
        LookupError,
        AttributeError,
        TypeError,
        MemoryError,
        zipfile.BadZipFile,
        ArithmeticError,
    ) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: not a generator of scaleway/frontalization, or more than weights: {reason}"
        ) from error
    if not isinstance(module, Shell):
        raise CheckpointError(f"{path}: holds a {type(module).__name__}, not a pickled module")
    _save_encoder_decoder(path, found, out)
    return len(found)


def _save_encoder_decoder(path: Path, found: list[Tensor], out: Path) -> None:
    """Save tensors as the weights of the encoder-decoder.

    Args:
        path: the file that they come from, for the error's text.
        found: parameters and buffers without batch-norm counters, in the network's order.
        out: the file to write.

    Raises:
        CheckpointError: they do not fit the network.
    """
    net = EncoderDecoder()
    wanted = {name: value for name, value in net.state_dict().items() if not name.endswith(_COUNTER)}
    shapes = [tuple(value.shape) for value in wanted.values()]
    if [tuple(value.shape) for value in found] != shapes:
        raise CheckpointError(
            f"{path}: its {len(found)} tensors do not fit the encoder-decoder's {len(shapes)}, in this order"
        )
    net.load_state_dict(dict(zip(wanted, found, strict=True)), strict=False)
    card = GeneratorCard(
        architecture="encoder_decoder",
        image_size=IMAGE_SIZE,
        template="chin",
        normalization=Normalization(mean=LEVEL_MEAN, scale=LEVEL_SCALE),
        recipe="scaleway",
        step=0,
    )
    save_generator(out, net, card)


def _read(path: Path, names: list[str]) -> Any:
    if not zipfile.is_zipfile(path):
        return read_legacy_module(path, names)
    require_plain_zip(path)
    with torch.serialization.safe_globals([(Shell, name) for name in names]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about pickle protocols
        return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(shell: Shell, seen: set[int]) -> Iterator[Tensor]:
    """Yield parameters and buffers, layer by layer, in the order in which they were registered.

    Raises:
        UnpicklingError: a layer occurs twice; a small file could hold an endless tree of such layers.
    """
    if id(shell) in seen:
        raise UnpicklingError("a layer occurs twice")
    seen.add(id(shell))
    for kind in ("_parameters", "_buffers"):
        for name, value in shell.state.get(kind, {}).items():
            if value is not None and name != _COUNTER:
                yield value.detach().float()
    for part in shell.state.get("_modules", {}).values():
        if isinstance(part, Shell):
            yield from _tensors(part, seen)
