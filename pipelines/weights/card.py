"""The card inside a generator's weights file: what it takes to rebuild it and to prepare its inputs."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.weights.normalization import Normalization
from toolkit.errors import CheckpointError
from toolkit.geometry.crop import TEMPLATES, Template

MAX_CARD_NUMBER = 4096  # of pixels, channels, classes in a card
SCHEMA = 1  # of weights files and checkpoints; incremented when an older reader could misread a newer file
MAX_HEADER_BYTES = 1 << 24  # of a safetensors file; those of the built-in networks have 15,000 at most


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorCard:
    """What it takes to rebuild a generator and to prepare its inputs; stored inside the weights file."""

    architecture: str  # the name of its class in models.registry, or in a user's recipe file
    image_size: int  # px per side, of input and output
    template: Template  # the crop it was trained on
    normalization: Normalization
    recipe: str  # the name of a recipe, or the path of a user's recipe file
    step: int  # optimizer steps of the training
    shape: dict[str, int] = field(default_factory=dict)  # keyword arguments of its class, each 1 to MAX_CARD_NUMBER
    attributes: list[str] = field(default_factory=list)  # names of the attributes that condition it, in their order
    load_size: int | None = None  # px per side of the crop whose middle is its input; None: image_size
    schema: int = SCHEMA


def read_card(path: Path) -> GeneratorCard:
    """Read the card of a generator's weights from the head of the file: eight bytes of length, then JSON.

    Raises:
        CheckpointError: not a safetensors file, or its card is missing, damaged, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MAX_HEADER_BYTES:
                raise ValueError(f"its header has {length:,} bytes")
            text = json.loads(file.read(length)).get("__metadata__", {}).get("card")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"model {path}: not a generator of this package ({error})") from error
    if text is None:
        raise CheckpointError(f"model {path}: safetensors without a card; give the generator.safetensors of a run")
    try:
        return _checked_card(path, json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"model {path}: its card is damaged ({error!r}); take the run's own file") from error


def require_card_numbers(card: GeneratorCard) -> None:
    """Bound the numbers of a card, so that a damaged one allocates no memory.

    Raises:
        ValueError: out of bounds.
    """
    counts = {**card.shape, "image_size": card.image_size, "load_size": card.load_size or card.image_size}
    for name, value in counts.items():
        if type(value) is not int or not 1 <= value <= MAX_CARD_NUMBER:
            raise ValueError(f"{name} is {value!r}, must be an integer from 1 to {MAX_CARD_NUMBER}")
    if not (card.normalization.scale > 0 and math.isfinite(card.normalization.mean + card.normalization.scale)):
        raise ValueError(f"its normalization is {card.normalization}")


def _checked_card(path: Path, values: dict[str, Any]) -> GeneratorCard:
    if values.get("schema", 0) > SCHEMA:
        raise CheckpointError(
            f"model {path}: schema {values['schema']}, this version reads {SCHEMA}; update frontalize"
        )
    if values["template"] not in TEMPLATES:
        raise CheckpointError(f"model {path}: unknown crop {values['template']!r}; known are {', '.join(TEMPLATES)}")
    for name in ("architecture", "recipe"):
        if not isinstance(values[name], str):
            raise ValueError(f"{name} is {values[name]!r}, must be a text")
    card = GeneratorCard(**{**values, "normalization": Normalization(**values["normalization"])})
    require_card_numbers(card)
    return card
