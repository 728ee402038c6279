"""Stage: a trained attribute generator -> faces with asked-for traits."""

from pathlib import Path

import numpy as np
import torch

from pipelines.runtime.devices import choose_device
from pipelines.weights.checkpoint import load_generator, weights_of
from pipelines.weights.normalization import to_images
from toolkit.errors import CheckpointError, ConfigError
from toolkit.photos.files import encode_image, write_whole

CHUNK = 64  # faces per pass


def generate_faces(run: Path, out: Path, wanted: dict[str, int], count: int, seed: int, device: str) -> list[str]:
    """Draw faces; traits that are not asked for are 0.

    Args:
        run: of the recipe ``attributes``, or its ``generator.safetensors``.
        out: gets ``0001.png`` and so on.
        wanted: traits by name, 1 or 0.
        count: how many faces, which differ by chance.
        seed: of chance.
        device: auto, cpu, cuda or cuda:i.

    Returns:
        Names of the files.

    Raises:
        ConfigError: no such weights, other weights, or a trait that they do not know.
    """
    place = choose_device(device)
    net, card = load_generator(weights_of(run), place)
    if card.architecture != "attributes":
        raise CheckpointError(f"model {run}: a {card.architecture}, which is shown photos; use `frontalize batch`")
    if unknown := sorted(set(wanted) - set(card.attributes)):
        raise ConfigError(f"attributes {', '.join(unknown)}: this generator knows {', '.join(card.attributes)}")
    if count < 1:
        raise ConfigError(f"n={count}: must be 1 or more")
    chance = torch.from_numpy(np.random.default_rng(seed).random((count, 1), np.float32)).to(place)
    traits = torch.tensor([float(wanted.get(name, 0)) for name in card.attributes], device=place)
    names: list[str] = []
    with torch.inference_mode():
        for part in chance.split(CHUNK):
            for face in to_images(net(traits.expand(len(part), -1), part), card.normalization):
                names.append(f"{len(names) + 1:04d}.png")
                write_whole(out / names[-1], encode_image(face, ".png"))
    return names


def parse_attributes(text: str) -> dict[str, int]:
    """``Smiling=1,Male=0``.

    Raises:
        ConfigError: another form.
    """
    wanted = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if not equals or value.strip() not in ("0", "1"):
            raise ConfigError(f"attributes {text!r}: {part!r} must be NAME=1 or NAME=0, as in Smiling=1,Male=0")
        wanted[name.strip()] = int(value)
    return wanted
