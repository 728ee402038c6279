"""A face recogniser given by path: whether two crops show the same person, for measuring, never for training."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.faces.shape_model import known_shapes
from toolkit.geometry.affine import compose, invert
from toolkit.geometry.crop import crop_matrix
from toolkit.model_files import require_model
from toolkit.photos.resample import cut

SIDE = 112  # pixels: of the ArcFace crop

# Pixels, of the networks known: the middle columns, or the whole crop. A wider one fits no narrow input.
WIDTHS = (96, 112)
GREY = 127  # what the network takes for next to nothing


def as_recognizers_see(crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring a chin crop into the recogniser's frame, every crop by the same matrix.

    That frame shows more forehead and cheeks than the chin crop has: what is missing is grey. The matrix
    carries the mean face of the one onto the mean face of the other, so photos, frontal views and whatever a
    network makes are shown alike, nothing found in the picture decides, and cosines between them compare.

    Args:
        crop: (S, S, 3) RGB uint8, template ``chin``.

    Returns:
        (112, 112, 3) RGB uint8.
    """
    size = len(crop)
    mean, _ = known_shapes()
    matrix = compose(crop_matrix(mean, SIDE, "arcface"), invert(crop_matrix(mean, size, "chin")))
    border = size // 2  # the frame reaches 0.43 of the side beyond the crop
    room = cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_CONSTANT, value=(GREY, GREY, GREY))
    matrix[:, 2] -= matrix[:, :2] @ [border, border]
    return cut(np.asarray(room, np.uint8), matrix, SIDE)


class Recognizer:
    """An ONNX network for ArcFace crops, (1, 3, 112, 112 or 96), RGB, (x - 127.5) / 128.

    Args:
        path: the file.

    Raises:
        ConfigError: missing, or no such network.
    """

    def __init__(self, path: Path) -> None:
        require_model(path, "recognizer ", "give an ONNX face recogniser for ArcFace crops")
        try:
            self._net = cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            raise ConfigError(f"recognizer {path}: not an ONNX file that OpenCV reads") from error
        self._cut = next((width for width in WIDTHS if self._takes(width)), 0)
        if not self._cut:
            raise ConfigError(f"recognizer {path}: takes neither {SIDE} x 96 nor {SIDE} x 112 pixels")

    def embed(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Describe faces.

        Args:
            crops: (112, 112, 3) RGB uint8 each, template ``arcface``.

        Returns:
            (N, D), of length 1: of each crop and its mirror image together. Their products are cosines.
        """
        both = [self._run(crop) + self._run(crop[:, ::-1]) for crop in crops]
        embedded = np.array(both, np.float64)
        return np.asarray(embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-12))

    def _run(self, crop: NDArray[np.uint8]) -> NDArray[np.float32]:
        aside = (SIDE - self._cut) // 2
        seen = crop[:, aside : aside + self._cut]
        self._net.setInput(cv2.dnn.blobFromImage(seen, 1 / 128, mean=(127.5, 127.5, 127.5)))
        return np.array(self._net.forward(), np.float32).reshape(-1)

    def _takes(self, width: int) -> bool:
        try:
            self._net.setInput(np.zeros((1, 3, SIDE, width), np.float32))
            return bool(np.isfinite(self._net.forward()).all())
        except cv2.error:
            return False
