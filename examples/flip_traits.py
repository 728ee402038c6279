"""Does a trait that is asked for show in the picture, and no other with it?

    python examples/flip_traits.py draw SET                    # a labelled set of drawn discs
    frontalize train SET RUN --recipe attributes --steps 3000 --batch-size 16 --set channels=16
    python examples/flip_traits.py measure RUN [PICTURE.png]

Drawn discs stand in for faces because their traits can be read off the pixels, without a judge that was trained
itself. Each is large or small, red or blue, on a bright or a dark ground, and lies a little off the middle. For every
mix of traits and 32 chances one trait at a time is flipped: the table says in how many of the pictures which traits
changed. Ours should change the flipped one alone; add ``--set conditional=false`` to see the published form, whose
discriminator is not told the traits.
"""

import sys
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.weights.checkpoint import load_generator
from pipelines.weights.normalization import to_images
from toolkit.photos.files import encode_image, link_or_copy, write_whole
from toolkit.records.labels import ATTRIBUTE, write_labels

Image = NDArray[np.uint8]
TRAITS = ("Bright", "Large", "Red")
SIDE, COUNT, CHANCES = 64, 2000, 32
EDGE, MIDDLE = 4, slice(28, 36)  # px: the ground shows at the edges, the disc in the middle
BETWEEN = np.pi * 15**2  # px: more of disc than this is large


def draw(traits: tuple[int, ...], random: np.random.Generator) -> Image:
    """One disc, (64, 64, 3)."""
    bright, large, red = traits
    ground = np.full((SIDE, SIDE, 3), (200 if bright else 50) + random.integers(-20, 21), np.uint8)
    colour = random.integers(190, 230), random.integers(60, 90), random.integers(20, 50)
    at = tuple(int(place) for place in SIDE // 2 + random.integers(-4, 5, 2))
    radius = int((20 if large else 10) + random.integers(-1, 2))
    cv2.circle(ground, at, radius, [int(level) for level in (colour if red else colour[::-1])], -1, cv2.LINE_AA)
    return ground


def read(image: Image) -> tuple[bool, ...]:
    """Its traits, from the pixels."""
    levels = image.astype(np.float64)
    edge = np.ones((SIDE, SIDE), bool)
    edge[EDGE:-EDGE, EDGE:-EDGE] = False
    reddish = levels[..., 0] - levels[..., 2]
    return (
        bool(levels[edge].mean() > 125),
        bool((np.abs(reddish) > 60).sum() > BETWEEN),
        bool(reddish[MIDDLE, MIDDLE].mean() > 0),
    )


def write_set(root: Path) -> None:
    """Discs as a paired set: each its own target."""
    random, rows = np.random.default_rng(0), []
    for number in range(COUNT):
        traits = tuple(random.integers(0, 2, len(TRAITS)).tolist())
        image, name = draw(traits, random), f"{number:04d}"
        if read(image) != tuple(map(bool, traits)):
            raise SystemExit(f"{name}: drawn {traits}, read {read(image)}")
        target, copy = root / f"{name}.png", root / name / f"{name}.png"
        write_whole(target, encode_image(image, ".png"))
        link_or_copy(target, copy)
        bits = {f"{ATTRIBUTE}{trait}": bit for trait, bit in zip(TRAITS, traits, strict=True)}
        rows += [
            {"file": str(path.relative_to(root)), "subject": name, "role": role, **bits}
            for path, role in ((target, "target"), (copy, "input"))
        ]
    write_labels(root, rows)


@torch.inference_mode()
def measure(run: Path, picture: Path | None) -> None:
    """Print the table; draw one row per mix of traits, then the same with each trait flipped."""
    net, card = load_generator(run / "generator.safetensors", torch.device("cpu"))
    chance = torch.linspace(0, 1, CHANCES)[:, None]

    def made(mix: Tensor) -> list[Image]:
        return to_images(net(mix.expand(CHANCES, -1), chance), card.normalization)

    order = [card.attributes.index(trait) for trait in TRAITS]
    changed, asked = np.zeros((len(TRAITS), len(TRAITS))), np.zeros(len(TRAITS))
    mixes = [torch.tensor(mix, dtype=torch.float32) for mix in product((0, 1), repeat=len(TRAITS))]
    shown = []
    for mix in mixes:
        before = made(mix)
        traits = np.array([read(image) for image in before])
        asked += (traits == mix[order].bool().numpy()).mean(axis=0) / len(mixes)
        row = [before[0], before[-1]]
        for number, place in enumerate(order):
            flipped = mix.clone()
            flipped[place] = 1 - flipped[place]
            after = made(flipped)
            changed[number] += (np.array([read(image) for image in after]) != traits).mean(axis=0) / len(mixes)
            row.append(after[0])
        shown.append(np.concatenate(row, axis=1))
    shares = zip(TRAITS, asked, strict=True)
    print("shows what is asked: " + ", ".join(f"{trait} {share:.2f}" for trait, share in shares))
    print("flipped    changed " + "  ".join(f"{trait:>6}" for trait in TRAITS))
    for trait, shares in zip(TRAITS, changed, strict=True):
        print(f"{trait:<18} " + "  ".join(f"{share:6.2f}" for share in shares))
    if picture is not None:
        write_whole(picture, encode_image(np.concatenate(shown), ".png"))


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        write_set(Path(sys.argv[2]))
    else:
        measure(Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
