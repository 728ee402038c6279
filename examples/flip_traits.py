"""Measure whether each attribute of the recipe `attributes` changes its trait in the image, and no other trait.

    python examples/flip_traits.py draw SET [COUNT]            # a labelled set of drawn discs, 2000 by default
    frontalize train SET RUN --recipe attributes --steps 3000 --batch-size 16 --set channels=16
    python examples/flip_traits.py measure RUN [PICTURE.png]

The images are drawn discs instead of faces, because their traits can be computed from the pixels, without a trained
classifier. Each disc is large or small, red or blue, on a bright or a dark background, and lies a little off the
center. For every combination of attributes and 32 noise values, one attribute at a time is flipped; the table shows
the fraction of images in which each trait changes. Only the flipped one should. Train with
``--set conditional=false`` to measure the published form, whose discriminator does not get the attributes.
"""

import sys
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from pipelines.weights.checkpoint import load_generator
from pipelines.weights.normalization import to_images
from toolkit.photos.files import encode_image, link_or_copy, write_atomic
from toolkit.photos.types import Image
from toolkit.records.labels import ATTRIBUTE, write_labels

TRAITS = ("Bright", "Large", "Red")
SIDE, COUNT, NOISES = 64, 2000, 32
EDGE, CENTER = 4, slice(28, 36)  # px: the background is visible at the edges, the disc in the center
LARGE_AREA = np.pi * 15**2  # px: a disc with more is large


def draw(traits: tuple[int, ...], random: np.random.Generator) -> Image:
    """Draw one disc, (64, 64, 3)."""
    bright, large, red = traits
    image = np.full((SIDE, SIDE, 3), (200 if bright else 50) + random.integers(-20, 21), np.uint8)
    color = random.integers(190, 230), random.integers(60, 90), random.integers(20, 50)
    center = tuple(int(place) for place in SIDE // 2 + random.integers(-4, 5, 2))
    radius = int((20 if large else 10) + random.integers(-1, 2))
    cv2.circle(image, center, radius, [int(level) for level in (color if red else color[::-1])], -1, cv2.LINE_AA)
    return image


def measure_traits(image: Image) -> tuple[bool, ...]:
    """Compute a disc's traits from its pixels."""
    levels = image.astype(np.float64)
    edge = np.ones((SIDE, SIDE), bool)
    edge[EDGE:-EDGE, EDGE:-EDGE] = False
    reddish = levels[..., 0] - levels[..., 2]
    return (
        bool(levels[edge].mean() > 125),
        bool((np.abs(reddish) > 60).sum() > LARGE_AREA),
        bool(reddish[CENTER, CENTER].mean() > 0),
    )


def write_set(root: Path, count: int) -> None:
    """Write a paired set of discs, in which each input is its own target."""
    random, rows = np.random.default_rng(0), []
    for number in range(count):
        traits = tuple(random.integers(0, 2, len(TRAITS)).tolist())
        image, name = draw(traits, random), f"{number:04d}"
        if measure_traits(image) != tuple(map(bool, traits)):
            raise SystemExit(f"{name}: drawn {traits}, measured {measure_traits(image)}")
        target, copy = root / f"{name}.png", root / name / f"{name}.png"
        write_atomic(target, encode_image(image, ".png"))
        link_or_copy(target, copy)
        bits = {f"{ATTRIBUTE}{trait}": bit for trait, bit in zip(TRAITS, traits, strict=True)}
        rows += [
            {"file": str(path.relative_to(root)), "subject": name, "role": role, **bits}
            for path, role in ((target, "target"), (copy, "input"))
        ]
    write_labels(root, rows)


@torch.inference_mode()
def measure(run: Path, picture: Path | None) -> None:
    """Print the table; draw a row per combination: two images, then the first with each attribute flipped."""
    net, card = load_generator(run / "generator.safetensors", torch.device("cpu"))
    noise = torch.linspace(0, 1, NOISES)[:, None]

    def generate(attributes: Tensor) -> list[Image]:
        return to_images(net(attributes.expand(NOISES, -1), noise), card.normalization)

    order = [card.attributes.index(trait) for trait in TRAITS]
    changed, correct = np.zeros((len(TRAITS), len(TRAITS))), np.zeros(len(TRAITS))
    combinations = [torch.tensor(bits, dtype=torch.float32) for bits in product((0, 1), repeat=len(TRAITS))]
    rows = []
    for attributes in combinations:
        before = generate(attributes)
        traits = np.array([measure_traits(image) for image in before])
        correct += (traits == attributes[order].bool().numpy()).mean(axis=0) / len(combinations)
        row = [before[0], before[-1]]
        for number, index in enumerate(order):
            flipped = attributes.clone()
            flipped[index] = 1 - flipped[index]
            after = generate(flipped)
            differs = np.array([measure_traits(image) for image in after]) != traits
            changed[number] += differs.mean(axis=0) / len(combinations)
            row.append(after[0])
        rows.append(np.concatenate(row, axis=1))
    fractions = zip(TRAITS, correct, strict=True)
    print("trait as conditioned: " + ", ".join(f"{trait} {fraction:.2f}" for trait, fraction in fractions))
    print("flipped    changed " + "  ".join(f"{trait:>6}" for trait in TRAITS))
    for trait, shares in zip(TRAITS, changed, strict=True):
        print(f"{trait:<18} " + "  ".join(f"{share:6.2f}" for share in shares))
    if picture is not None:
        write_atomic(picture, encode_image(np.concatenate(rows), ".png"))


if __name__ == "__main__":
    if sys.argv[1] == "draw":
        write_set(Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else COUNT)
    else:
        measure(Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
