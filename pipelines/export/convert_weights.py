"""Stage: weights from elsewhere -> a generator's file to hand on.

Of a run of ours: the same weights in half precision. Of the ancestor: its published file is a whole pickled module. A
pickle is a program. The readers used here run none of it: they know tensors and plain containers,
and refuse every other name. The module's own classes are given to them as an empty shell that keeps
what it is handed, so no code of the file, of its author or of torch.nn runs.
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
from pipelines.weights.checkpoint import GeneratorCard, load_generator, require_plain_zip, save_generator
from pipelines.weights.normalization import Normalization
from toolkit.errors import CheckpointError

# What the published file names: its own class (by where it was defined), and the layers of torch.
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
_COUNTER = "num_batches_tracked"  # of batch norm; files of torch 0.4 have none, and no result depends on it


def halve_weights(path: Path, out: Path) -> int:
    """Save a run's generator in half precision: half the size, the same card.

    Args:
        path: a run, or its ``generator.safetensors``.
        out: a ``.safetensors`` file for ``frontalize batch --model``.

    Returns:
        How many tensors it has.

    Raises:
        CheckpointError: missing, or not one of ours.
    """
    net, card = load_generator(path / "generator.safetensors" if path.is_dir() else path, torch.device("cpu"))
    save_generator(out, net.half(), card)
    return len(net.state_dict())


def convert_weights(path: Path, out: Path) -> int:
    """Rebuild the encoder-decoder with the tensors of a pickled module, and save it our way.

    Args:
        path: the published ``generator_v0.pt``, or one that the ancestor's training wrote.
        out: a ``.safetensors`` file for ``frontalize batch --model``.

    Returns:
        How many tensors were taken over.

    Raises:
        CheckpointError: missing, not such a file, or it asks for anything that weights have no use for.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; give the ancestor's pickled generator")
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
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not the ancestor's generator, or more than weights: {said}") from error
    if not isinstance(module, Shell):
        raise CheckpointError(f"{path}: holds a {type(module).__name__}, not a pickled module")
    net = EncoderDecoder()
    wanted = {name: value for name, value in net.state_dict().items() if not name.endswith(_COUNTER)}
    shapes = [tuple(value.shape) for value in wanted.values()]
    if [tuple(value.shape) for value in found] != shapes:
        raise CheckpointError(
            f"{path}: {len(found)} tensors that do not fit the encoder-decoder's {len(shapes)} in turn"
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
    return len(found)


def _read(path: Path, names: list[str]) -> Any:
    if not zipfile.is_zipfile(path):
        return read_legacy_module(path, names)
    require_plain_zip(path)
    with torch.serialization.safe_globals([(Shell, name) for name in names]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickle protocols
        return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(shell: Shell, seen: set[int]) -> Iterator[Tensor]:
    """Parameters and buffers, layer by layer, in the order in which they were registered.

    Raises:
        UnpicklingError: a layer stands in two places: few bytes could make a tree without end of it.
    """
    if id(shell) in seen:
        raise UnpicklingError("a layer stands in two places")
    seen.add(id(shell))
    for kind in ("_parameters", "_buffers"):
        for name, value in shell.state.get(kind, {}).items():
            if value is not None and name != _COUNTER:
                yield value.detach().float()
    for part in shell.state.get("_modules", {}).values():
        if isinstance(part, Shell):
            yield from _tensors(part, seen)
