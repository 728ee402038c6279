"""Weights and training state on disk: tensors and plain values; loading them runs no code."""

import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import nn

from models.registry import GENERATORS
from pipelines.weights.card import SCHEMA, read_card, require_card_numbers
from pipelines.weights.card import GeneratorCard as GeneratorCard
from toolkit.errors import CheckpointError, ConfigError
from toolkit.photos.files import write_atomic

# What torch's reader raises on damaged files, as seen in tests.
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


def save_generator(path: Path, generator: nn.Module, card: GeneratorCard) -> None:
    """Write weights and card as safetensors, atomically."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in generator.state_dict().items()}
    # safetensors' own function for files makes them readable for their owner only
    write_atomic(path, to_safetensors(tensors, metadata={"card": json.dumps(asdict(card))}))


def load_generator(
    path: Path, device: torch.device, networks: Mapping[str, type[nn.Module]] = GENERATORS
) -> tuple[nn.Module, GeneratorCard]:
    """Rebuild a generator in evaluation mode, in float32 whatever the precision of its file.

    Args:
        path: its ``generator.safetensors``.
        device: where it goes.
        networks: the classes that it may have, by architecture; see
            :func:`pipelines.weights.recipe_file.known_networks`.

    Raises:
        CheckpointError: missing, not a safetensors file of this package, of a newer version, of an unknown network, or
            with other tensors than the network that its card names. This is checked before memory is allocated.
    """
    if not path.is_file():
        raise CheckpointError(f"model {path}: no such file; train one with `frontalize train`, then give its path")
    card = read_card(path)
    if card.architecture not in networks:
        raise CheckpointError(f"model {path}: {_unknown_network(card, networks)}")
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            if problem := _mismatch(networks[card.architecture], card, shapes):
                raise CheckpointError(f"model {path}: {problem}; the file is damaged, or another network's")
            generator = networks[card.architecture](**card.shape)
            generator.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, RuntimeError, OSError) as error:
        raise CheckpointError(f"model {path}: not a generator of this package ({error})") from error
    return generator.to(device).eval(), card


def weights_of(run: Path) -> Path:
    """Return the generator's file of a run's folder; any other path is returned as it is."""
    return run / "generator.safetensors" if run.is_dir() else run


def load_weights(path: Path, generator: nn.Module, networks: Mapping[str, type[nn.Module]] = GENERATORS) -> None:
    """Load the weights of another run's generator, which must have the same architecture.

    Args:
        path: a run, or its ``generator.safetensors``.
        generator: the network to load them into.
        networks: as in :func:`load_generator`.

    Raises:
        CheckpointError: as :func:`load_generator`, or of another architecture.
    """
    file = weights_of(path)
    other, card = load_generator(file, torch.device("cpu"), networks)
    try:
        generator.load_state_dict(other.state_dict())
    except RuntimeError as error:
        raise CheckpointError(f"start from {file}: a {card.architecture}, which does not fit this recipe") from error


def require_loadable(
    generator: nn.Module, card: GeneratorCard, networks: Mapping[str, type[nn.Module]] = GENERATORS
) -> None:
    """Check that a generator that is going to be saved with this card can be loaded again.

    Raises:
        ConfigError: its card does not name its class, or does not build it.
    """
    if card.architecture not in networks:
        raise ConfigError(
            f"recipe {card.recipe}: its architecture {card.architecture!r} is no known network; choose one of "
            f"{', '.join(networks)}, or add its class to the networks of Entry"
        )
    try:
        require_card_numbers(card)
        shapes = {name: list(value.shape) for name, value in generator.state_dict().items()}
        with torch.random.fork_rng(devices=[]):  # initial weights must not advance the training's generator
            problem = _mismatch(networks[card.architecture], card, shapes)
    except (ValueError, RuntimeError) as error:
        problem = str(error)
    if problem:
        raise ConfigError(
            f"recipe {card.recipe}: its generator could not be loaded from its weights: {problem}; architecture and "
            "shape() must build the generator's class again, on torch's meta device too"
        )


def _mismatch(network: type[nn.Module], card: GeneratorCard, shapes: dict[str, list[int]]) -> str:
    """The first difference between the stored tensors' shapes and the network's, which is built without memory."""
    try:
        with torch.device("meta"):
            tensors = network(**card.shape).state_dict()
    except (TypeError, ValueError, ArithmeticError, LookupError):
        return f"no {card.architecture} can be built with the shape {card.shape} of its card"
    wanted = {name: list(value.shape) for name, value in tensors.items()}
    for name in sorted(wanted.keys() | shapes.keys()):
        if wanted.get(name) != shapes.get(name):
            one, other = shapes.get(name, "missing"), wanted.get(name, "nothing")
            return f"{name} is {one} in the weights, {other} in the {card.architecture} of its card"
    return ""


def _unknown_network(card: GeneratorCard, networks: Mapping[str, type[nn.Module]]) -> str:
    architecture, recipe = _printable(card.architecture), _printable(Path(card.recipe).name)
    if not recipe.endswith(".py"):
        return f"unknown network {architecture} of recipe {recipe}; known are {', '.join(networks)}"
    if own := [name for name in networks if name not in GENERATORS]:
        return f"its network {architecture} is defined in the recipe {recipe}; the one given defines {', '.join(own)}"
    return f"its network {architecture} is defined in the recipe {recipe}; add --recipe PATH/{recipe}"


def _printable(text: str) -> str:
    """A short text as it is; one that could write control characters to a terminal, or a long one, as its repr."""
    return text if text.isprintable() and len(text) <= 100 else repr(text[:100])


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write training state, atomically.

    Raises:
        ConfigError: it cannot be written, as on a full disk.
    """
    try:
        write_atomic(path, lambda partial: torch.save({"schema": SCHEMA, **state}, partial))
    except RuntimeError as error:  # torch's writer tells no more
        raise ConfigError(
            f"{path}: cannot be written, the disk may be full; repair that and run the same command again: it resumes "
            "from the last checkpoint"
        ) from error


def load_state(path: Path) -> dict[str, Any]:
    """Read training state, its tensors on the CPU.

    Raises:
        CheckpointError: not written by :func:`save_state`, or damaged.
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
        raise CheckpointError(
            f"{path}: schema {state.get('schema')}, this version reads {SCHEMA}; update frontalize, or remove it to "
            "start over"
        )
    return state


def require_plain_zip(path: Path) -> None:
    """Check that a file is an uncompressed zip, as torch writes it, so that reading allocates no more than its size.

    Raises:
        ValueError, zipfile.BadZipFile, OSError: it is not.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError("it is compressed; torch writes uncompressed files")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("its parts are larger than itself")
