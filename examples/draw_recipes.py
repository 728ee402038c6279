"""Draw what trained recipes make of the same turned heads.

    python examples/draw_recipes.py PICTURE RUN [RUN ...] -- PHOTO [PHOTO ...]

Every frontal photo is turned to an angle of its own. Rows: the turned crops; what each run makes of them, a run of
`multitask` in five rows, one for every second pose that it can be asked for; the true crops.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pipelines.photo_jobs.crops import resize_square
from pipelines.weights.checkpoint import GeneratorCard, load_generator
from pipelines.weights.normalization import to_images
from toolkit.crops.align import align_photo
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_whole
from toolkit.photos.resample import cut
from toolkit.views.rotate import TurnableHead

Image = NDArray[np.uint8]
SIDE = 128  # px, of the crops and the picture's cells
YAWS = (-52, 38, -22, 52, -38, 22)  # degrees, none of them in the usual training grid
CPU = torch.device("cpu")


def turned_crops(photos: list[Path]) -> tuple[list[Image], list[Image]]:
    """What the networks are shown, and the truth: (SIDE, SIDE, 3) each."""
    landmarker = open_landmarker()
    turned, true = [], []
    for number, path in enumerate(photos):
        photo = read_photo(path)
        [crop] = align_photo(photo, landmarker)
        view = TurnableHead(photo, crop.face).view(YAWS[number % len(YAWS)])
        turned.append(cut(view.image, crop_matrix(view.landmarks, SIDE), SIDE))
        true.append(cut(photo, crop_matrix(crop.face.landmarks, SIDE), SIDE))
    return turned, true


def rows(run: Path, crops: list[Image]) -> list[list[Image]]:
    """What a run's generator makes of crops: one row, or five poses."""
    net, card = load_generator(run / "generator.safetensors", CPU)
    images = shown(crops, card)
    with torch.inference_mode():
        if card.architecture != "multitask":
            return [to_images(net(images), card.normalization)]
        asked = range(0, card.shape["poses"], 2)
        return [to_images(in_pose(net, images, pose), card.normalization) for pose in asked]


def shown(crops: list[Image], card: GeneratorCard) -> torch.Tensor:
    """(B, 3, S, S) as the generator was trained to see them: resized, the middle, normalized."""
    stack = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    side, edge = card.load_size or card.image_size, ((card.load_size or card.image_size) - card.image_size) // 2
    small = nn.functional.interpolate(stack, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    inner = small[:, :, edge : edge + card.image_size, edge : edge + card.image_size]
    return (inner - card.normalization.mean) / card.normalization.scale


def in_pose(net: nn.Module, images: torch.Tensor, pose: int) -> torch.Tensor:
    """Ask a multitask generator for one pose."""
    made: torch.Tensor = net(images, torch.full((len(images),), pose))
    return made


def main(picture: Path, runs: list[Path], photos: list[Path]) -> None:
    """Draw and write."""
    turned, true = turned_crops(photos)
    lines = [turned, *(row for run in runs for row in rows(run, turned)), true]
    cells = [np.hstack([resize_square(image, SIDE) for image in line]) for line in lines]
    write_whole(picture, encode_image(np.vstack(cells), picture.suffix, 90))


if __name__ == "__main__":
    split = sys.argv.index("--")
    main(Path(sys.argv[1]), [Path(run) for run in sys.argv[2:split]], [Path(photo) for photo in sys.argv[split + 1 :]])
