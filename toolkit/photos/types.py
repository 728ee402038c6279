"""The array type of images; :class:`toolkit.photos.decode.Photo` is the class of encoded photos."""

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (H, W, 3) RGB, 0 to 255; (H, W) where a comment says so
