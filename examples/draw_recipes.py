"""Draw the outputs of several training runs for the same rotated heads.

    python examples/draw_recipes.py PICTURE RUN [RUN ...] -- PHOTO [PHOTO ...]

Every frontal photo is rotated by another angle. Rows: the rotated crops; the outputs of each run, for a run of
`multitask` five rows, one for every second of its poses; the frontal crops.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.checkpoint import GeneratorCard, load_generator
from pipelines.weights.normalization import to_images
from toolkit.crops.align import align_photo
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_atomic
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image
from toolkit.views.rotate import RotatableHead

SIDE = 128  # px, of the crops and the picture's cells
YAWS = (-52, 38, -22, 52, -38, 22)  # degrees, none of them in the usual training sets
CPU = torch.device("cpu")


def rotated_crops(photos: list[Path]) -> tuple[list[Image], list[Image]]:
    """Return the rotated and the frontal crops, (SIDE, SIDE, 3) each."""
    landmarker = open_landmarker()
    rotated, frontal = [], []
    for number, path in enumerate(photos):
        photo = read_photo(path)
        [crop] = align_photo(photo, landmarker)
        view = RotatableHead(photo, crop.face).view(YAWS[number % len(YAWS)])
        rotated.append(warp_crop(view.image, crop_matrix(view.landmarks, SIDE), SIDE))
        frontal.append(warp_crop(photo, crop_matrix(crop.face.landmarks, SIDE), SIDE))
    return rotated, frontal


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
    rotated, frontal = rotated_crops(photos)
    lines = [rotated, *(row for run in runs for row in rows(run, rotated)), frontal]
    cells = [np.hstack([resize_square(image, SIDE) for image in line]) for line in lines]
    write_atomic(picture, encode_image(np.vstack(cells), picture.suffix, 90))


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(Path(sys.argv[1]), [Path(run) for run in sys.argv[2:split]], [Path(photo) for photo in sys.argv[split + 1 :]])
