"""One photo to one crop, without the command line.

    python examples/align_one_photo.py [PHOTO [CROP]]

Without a photo it takes the public-domain portrait that scikit-image carries.
"""

import sys
from pathlib import Path

import numpy as np
from skimage import data

from toolkit.crops.align import align_photo
from toolkit.landmarks.finder import open_landmarker
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image, write_atomic


def main(photo_path: Path | None, crop_path: Path) -> None:
    """Align, write, tell."""
    photo = read_photo(photo_path) if photo_path else np.asarray(data.astronaut(), np.uint8)
    [crop] = align_photo(photo, open_landmarker())
    write_atomic(crop_path, encode_image(crop.image, crop_path.suffix))
    print(f"{crop_path}: yaw {crop.pose.yaw:.0f}, pitch {crop.pose.pitch:.0f}, roll {crop.pose.roll:.0f} degrees")
    print(f"matrix photo -> crop:\n{crop.matrix.round(3)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None, Path(sys.argv[2] if len(sys.argv) > 2 else "crop.png"))
