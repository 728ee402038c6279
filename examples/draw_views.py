"""Draw what frontal views look like, beside the truth: turned photos, their frontal views, and frontal photos.

    python examples/draw_views.py PICTURE TURNED FRONTAL [TURNED FRONTAL ...]

One column for each pair of photos of one person. From top to bottom: the crop of the turned photo, the frontal view by
geometry, the built-in refiner's, and the crop of the frontal photo.
"""

import sys
from pathlib import Path

import numpy as np

from pipelines.photo_jobs.views import ViewLandmarker
from pipelines.weights.generator import Generator, open_generator
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.photos.decode import Photo, read_bytes
from toolkit.photos.files import encode_image, write_atomic
from toolkit.photos.types import Image

SIDE = 160  # pixels


def column(turned: Path, frontal: Path, landmarker: ViewLandmarker, refiner: Generator) -> Image:
    """Return (4 * SIDE, SIDE, 3): the turned photo, both views, the frontal photo."""
    config, photo = AlignConfig(size=SIDE), Photo(read_bytes(turned))
    [crop] = align_photo(photo, landmarker.landmarker, config)
    [truth] = align_photo(Photo(read_bytes(frontal)), landmarker.landmarker, config)
    view = landmarker.frontal_view(photo, crop, SIDE)
    [refined] = refiner([view.network_inputs])
    return np.vstack([crop.image, view.image, refined.image, truth.image])


def main(picture: Path, photos: list[Path]) -> None:
    """Draw and write."""
    landmarker, refiner = ViewLandmarker(), open_generator("refiner")
    sheet = np.hstack(
        [
            column(turned, frontal, landmarker, refiner)
            for turned, frontal in zip(photos[::2], photos[1::2], strict=True)
        ]
    )
    write_atomic(picture, encode_image(sheet, picture.suffix, 92))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
