"""Draw what the views can do, on real faces: a head at nine yaws, and each of them brought back to the front.

    python examples/draw_views.py PICTURE PHOTO [PHOTO ...]

Two rows per photo: the turned head's crop, and the frontal view made from that picture alone.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolkit.align import align_photo, cut
from toolkit.cascade import open_landmarker
from toolkit.geometry import crop_matrix
from toolkit.images import encode_image, write_whole
from toolkit.landmarks import Landmarker
from toolkit.photos import read_photo
from toolkit.steady import SteadyMesh
from toolkit.turnable import TurnableHead
from toolkit.views import frontal_view

YAWS, SIDE = (-75, -60, -40, -20, 0, 20, 40, 60, 75), 144


def rows(photo: NDArray[np.uint8], landmarker: Landmarker, steady: SteadyMesh) -> NDArray[np.uint8]:
    """(2 * SIDE, 9 * SIDE, 3): the views, and what comes back from them; grey where no face is found."""
    [crop] = align_photo(photo, landmarker)
    head, above, below = TurnableHead(photo, crop.face), [], []
    for yaw in YAWS:
        view = head.view(yaw)
        above.append(cut(view.image, crop_matrix(view.landmarks, SIDE), SIDE))
        faces = landmarker.find(view.image)
        blank = np.full((SIDE, SIDE, 3), 128, np.uint8)
        below.append(frontal_view(view.image, steady(view.image, faces[0]), SIDE)[0] if faces else blank)
    return np.vstack([np.hstack(above), np.hstack(below)])


def main(picture: Path, photos: list[Path]) -> None:
    """Draw and write."""
    landmarker, steady = open_landmarker(), SteadyMesh()
    sheet = np.vstack([rows(read_photo(photo), landmarker, steady) for photo in photos])
    write_whole(picture, encode_image(sheet, picture.suffix, 90))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
