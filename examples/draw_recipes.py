"""Draw the outputs of several training runs for the same turned photos.

    python examples/draw_recipes.py PICTURE RUN [RUN ...] -- TURNED FRONTAL [TURNED FRONTAL ...]

One column for each pair of photos of one person. Rows: the crops of the turned photos; the outputs of each run, for a
run of `multitask` five rows, one for every second of its poses; the crops of the frontal photos.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.checkpoint import GeneratorCard, load_generator
from pipelines.weights.normalization import to_images
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.files import encode_image, write_atomic
from toolkit.photos.types import Image

SIDE = 128  # px, of the crops and the picture's cells
CPU = torch.device("cpu")


def rows(run: Path, crops: list[Image]) -> list[list[Image]]:
    """Return a generator's outputs in one row, or in five for as many poses."""
    net, card = load_generator(run / "generator.safetensors", CPU)
    images = network_inputs(crops, card)
    with torch.inference_mode():
        if card.architecture != "multitask":
            return [to_images(net(images), card.normalization)]
        poses = range(0, card.shape["poses"], 2)
        return [to_images(in_pose(net, images, pose), card.normalization) for pose in poses]


def network_inputs(crops: list[Image], card: GeneratorCard) -> torch.Tensor:
    """Resize, crop to the middle and normalize as in the generator's training; return (B, 3, S, S)."""
    stack = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    side, edge = card.load_size or card.image_size, ((card.load_size or card.image_size) - card.image_size) // 2
    small = nn.functional.interpolate(stack, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    inner = small[:, :, edge : edge + card.image_size, edge : edge + card.image_size]
    return (inner - card.normalization.mean) / card.normalization.scale


def in_pose(net: nn.Module, images: torch.Tensor, pose: int) -> torch.Tensor:
    """Run a multitask generator conditioned on one pose."""
    faces: torch.Tensor = net(images, torch.full((len(images),), pose))
    return faces


def main(picture: Path, runs: list[Path], photos: list[Path]) -> None:
    """Draw and write the picture."""
    landmarker = open_landmarker()
    crops = [align_photo(Photo(read_bytes(path)), landmarker, AlignConfig(size=SIDE))[0].image for path in photos]
    turned, frontal = crops[::2], crops[1::2]
    lines = [turned, *(row for run in runs for row in rows(run, turned)), frontal]
    cells = [np.hstack([resize_square(image, SIDE) for image in line]) for line in lines]
    write_atomic(picture, encode_image(np.vstack(cells), picture.suffix, 90))


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(Path(sys.argv[1]), [Path(run) for run in sys.argv[2:split]], [Path(photo) for photo in sys.argv[split + 1 :]])
