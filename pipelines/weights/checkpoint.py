"""Weights and training state on disk: plain tensors and plain values, nothing that runs on loading."""

import json
import math
import struct
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import nn

from models.registry import GENERATORS
from pipelines.weights.normalization import Normalization
from toolkit.errors import CheckpointError
from toolkit.geometry.crop import TEMPLATES, Template
from toolkit.photos.files import write_whole

MOST = 4096  # of any number in a card: pixels, channels, classes
SCHEMA = 1  # of both kinds of file; raised when a reader of before could misread

# What torch's reader was seen to raise on damaged files.
_DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    UnpicklingError,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorCard:
    """What a bulk run has to know to feed a generator: it travels inside the weights file."""

    architecture: str  # a name of models.registry
    image_size: int  # px per side, in and out
    template: Template  # the crop it was trained on
    normalization: Normalization
    recipe: str
    step: int  # optimizer steps behind these weights
    shape: dict[str, int] = field(default_factory=dict)  # what the network's class is called with
    attributes: list[str] = field(default_factory=list)  # names of the traits that it is told, in their order
    load_size: int | None = None  # px per side of the crop that the middle is taken from; None: image_size
    schema: int = SCHEMA


def save_generator(path: Path, generator: nn.Module, card: GeneratorCard) -> None:
    """Write weights and card as safetensors, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}
    # As bytes: the file that safetensors writes itself can be read by its owner alone.
    write_whole(path, to_safetensors(tensors, metadata={"card": json.dumps(asdict(card))}))


def load_generator(path: Path, device: torch.device) -> tuple[nn.Module, GeneratorCard]:
    """Rebuild a generator in evaluation mode, in float32 whatever precision its file has.

    Raises:
        CheckpointError: missing, not a safetensors file of ours, of a newer version, or its tensors are not those of
            the network that its card names: that is known before any memory is taken for either.
    """
    if not path.is_file():
        raise CheckpointError(f"model {path}: no such file; train one with `frontalize train`, then give its path")
    try:
        with safe_open(path, framework="pt") as file:
            card = _read_card(path, (file.metadata() or {}).get("card"))
            _require_fit(path, card, {name: file.get_slice(name).get_shape() for name in file.keys()})  # noqa: SIM118
            generator = GENERATORS[card.architecture](**card.shape)
            generator.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(f"model {path}: not a generator of ours ({error})") from error
    return generator.to(device).eval(), card


def weights_of(run: Path) -> Path:
    """The generator's file of a run; a path that is no folder is taken for such a file."""
    return run / "generator.safetensors" if run.is_dir() else run


def load_weights(path: Path, generator: nn.Module) -> None:
    """Take over the weights of another run's generator, whose architecture must be the same.

    Args:
        path: a run, or its ``generator.safetensors``.
        generator: gets them.

    Raises:
        CheckpointError: missing, not one of ours, or of another architecture.
    """
    file = weights_of(path)
    other, card = load_generator(file, torch.device("cpu"))
    try:
        generator.load_state_dict(other.state_dict())
    except RuntimeError as error:
        raise CheckpointError(f"start from {file}: a {card.architecture}, which does not fit this recipe") from error


def _require_fit(path: Path, card: GeneratorCard, stored: dict[str, list[int]]) -> None:
    """Compare with a network that has shapes and no numbers."""
    try:
        with torch.device("meta"):
            network = GENERATORS[card.architecture](**card.shape)
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise CheckpointError(f"model {path}: no {card.architecture} has the shape {card.shape} of its card") from error
    wanted = {name: list(value.shape) for name, value in network.state_dict().items()}
    for name in sorted(wanted.keys() | stored.keys()):
        if wanted.get(name) != stored.get(name):
            raise CheckpointError(
                f"model {path}: {name} is {stored.get(name, 'missing')} in the file, {wanted.get(name, 'nothing')} in "
                f"the {card.architecture} of its card; the file is damaged, or another network's"
            )


def _read_card(path: Path, text: str | None) -> GeneratorCard:
    if text is None:
        raise CheckpointError(f"model {path}: safetensors without our card; give a generator.safetensors of a run")
    try:
        return _checked_card(path, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"model {path}: its card is damaged ({error!r}); take the run's own file") from error


def _checked_card(path: Path, values: dict[str, Any]) -> GeneratorCard:
    """Every number of a card within what our networks have: a damaged one asks for no memory."""
    if values.get("schema", 0) > SCHEMA:
        raise CheckpointError(
            f"model {path}: schema {values['schema']}, this version reads {SCHEMA}; update frontalize"
        )
    if values["architecture"] not in GENERATORS or values["template"] not in TEMPLATES:
        raise CheckpointError(
            f"model {path}: unknown network {values['architecture']!r} or crop {values['template']!r}"
        )
    card = GeneratorCard(**{**values, "normalization": Normalization(**values["normalization"])})
    counts = {**card.shape, "image_size": card.image_size, "load_size": card.load_size or card.image_size}
    for name, value in counts.items():
        if type(value) is not int or not 1 <= value <= MOST:
            raise ValueError(f"{name} is {value!r}, must be 1 to {MOST}")
    if not (card.normalization.scale > 0 and math.isfinite(card.normalization.mean + card.normalization.scale)):
        raise ValueError(f"its normalization is {card.normalization}")
    return card


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write training state, whole or not at all."""
    write_whole(path, lambda partial: torch.save({"schema": SCHEMA, **state}, partial))


def load_state(path: Path) -> dict[str, Any]:
    """Read training state; tensors land on the CPU.

    Raises:
        CheckpointError: not one of ours, or damaged.
    """
    try:
        require_plain_zip(path)
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise CheckpointError(f"{path}: cannot be read ({what}); remove it to start over") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds a {type(state).__name__}, no training state; remove it to start over")
    if state.get("schema") != SCHEMA:
        raise CheckpointError(f"{path}: schema {state.get('schema')}, this version reads {SCHEMA}")
    return state


def require_plain_zip(path: Path) -> None:
    """As torch writes it: nothing compressed, so what is read is no larger than the file; torch compares the rest.

    Raises:
        ValueError, zipfile.BadZipFile, OSError: another file.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("it is compressed, as torch leaves no file")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("its parts are larger than itself")
