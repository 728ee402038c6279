"""Draw what the views can do, on real faces: a head at nine yaws, and each of them brought back to the front.

    python examples/draw_views.py PICTURE PHOTO [PHOTO ...]

Three rows per photo: the turned head's crop, the frontal view made from that picture alone, and what the built-in
refiner makes of the view.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.views import as_mask
from pipelines.weights.generator import Generator, open_generator
from toolkit.crops.align import align_photo
from toolkit.geometry.crop import crop_matrix
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.profiles.averaging import AveragedMesh
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_atomic
from toolkit.photos.resample import warp_crop
from toolkit.views.frontal import frontal_view
from toolkit.views.rotate import RotatableHead

YAWS, SIDE = (-75, -60, -40, -20, 0, 20, 40, 60, 75), 144


def rows(
    photo: NDArray[np.uint8], landmarker: Landmarker, refine_mesh: AveragedMesh, refiner: Generator
) -> NDArray[np.uint8]:
    """(3 * SIDE, 9 * SIDE, 3): the views, and what comes back from them; grey where no face is found."""
    [crop] = align_photo(photo, landmarker)
    head, columns = RotatableHead(photo, crop.face), []
    for yaw in YAWS:
        view = head.view(yaw)
        tiles = [warp_crop(view.image, crop_matrix(view.landmarks, SIDE), SIDE)]
        if faces := landmarker.find(view.image):
            back, visible = frontal_view(view.image, refine_mesh(view.image, faces[0]), SIDE)
            tiles += [back, *refiner([[back, as_mask(visible)]])]
        else:
            tiles += [np.full((SIDE, SIDE, 3), 128, np.uint8)] * 2
        columns.append(np.vstack(tiles))
    return np.hstack(columns)


def main(picture: Path, photos: list[Path]) -> None:
    """Draw and write."""
    landmarker, refine_mesh = open_landmarker(FindConfig(refine_profiles=False)), AveragedMesh()
    refiner = open_generator("refiner")
    sheet = np.vstack([rows(read_photo(photo), landmarker, refine_mesh, refiner) for photo in photos])
    write_atomic(picture, encode_image(sheet, picture.suffix, 90))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
