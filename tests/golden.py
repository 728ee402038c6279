"""The golden crop, and how to make it again: ``python -m tests.golden``, then look at the picture."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from toolkit.crops.align import AlignConfig, align_photo
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker

CROP = Path(__file__).parent / "golden" / "astronaut.png"


def golden_crop(landmarker: Landmarker) -> NDArray[np.uint8]:
    """scikit-image's astronaut, aligned to 96 px."""
    [crop] = align_photo(np.asarray(data.astronaut(), np.uint8), landmarker, AlignConfig(size=96))
    return crop.image


if __name__ == "__main__":
    CROP.parent.mkdir(exist_ok=True)
    Image.fromarray(golden_crop(open_landmarker())).save(CROP)
