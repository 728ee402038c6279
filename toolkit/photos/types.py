"""What an image is."""

import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
