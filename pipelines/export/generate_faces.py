"""Stage: generate faces with given attributes."""

from pathlib import Path

import numpy as np
import torch

from pipelines.photo_jobs.device_networks import full_precision_on
from pipelines.runtime.devices import choose_device
from pipelines.weights.checkpoint import load_generator, weights_of
from pipelines.weights.normalization import to_images
from toolkit.errors import CheckpointError, ConfigError
from toolkit.photos.files import encode_image, write_atomic

CHUNK = 64  # faces per pass


def generate_faces(run: Path, out: Path, values: dict[str, int], count: int, seed: int, device: str) -> list[str]:
    """Write ``0001.png``, ``0002.png`` and so on to a folder.

    Args:
        run: of the recipe ``attributes``, or its ``generator.safetensors``.
        out: the folder.
        values: 1 or 0 by name of the attribute; attributes without a value are 0.
        count: number of faces, with different noise.
        seed: of the noise.
        device: auto, cpu, cuda or cuda:i.

    Returns:
        Names of the files.

    Raises:
        ConfigError: the weights are missing or of another recipe, an attribute is unknown, a number out of bounds.
    """
    if count < 1:
        raise ConfigError(f"n={count}: must be 1 or more; leave it out for 25")
    if seed < 0:
        raise ConfigError(f"seed={seed}: must be 0 or more; leave it out for 0")
    target = torch.device(choose_device(device))
    net, card = load_generator(weights_of(run), target)
    if card.architecture != "attributes":
        raise CheckpointError(f"model {run}: {card.architecture} generates from photos; use `frontalize batch`")
    if unknown := sorted(set(values) - set(card.attributes)):
        raise ConfigError(f"attributes {', '.join(unknown)}: this generator knows {', '.join(card.attributes)}")
    noise = torch.from_numpy(np.random.default_rng(seed).random((count, 1), np.float32)).to(target)
    attributes = torch.tensor([float(values.get(name, 0)) for name in card.attributes], device=target)
    names: list[str] = []
    with torch.inference_mode(), full_precision_on(str(target)):
        for part in noise.split(CHUNK):
            for face in to_images(net(attributes.expand(len(part), -1), part), card.normalization):
                names.append(f"{len(names) + 1:04d}.png")
                write_atomic(out / names[-1], encode_image(face, ".png"))
    return names


def parse_attributes(text: str) -> dict[str, int]:
    """Parse attributes written as ``Smiling=1,Male=0``.

    Raises:
        ConfigError: written otherwise.
    """
    values = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or value.strip() not in ("0", "1"):
            raise ConfigError(f"attributes {text!r}: {part!r} must be NAME=1 or NAME=0, as in Smiling=1,Male=0")
        values[name.strip()] = int(value)
    return values
