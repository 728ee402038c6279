"""A face recogniser given by path: whether two crops show the same person, for measuring, never for training."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError

SIDE = 112  # pixels: of the ArcFace crop
WIDTHS = (
    96,
    112,
)  # pixels, of the networks known: the middle columns, or the whole crop. A wider one fits no narrow input


class Recognizer:
    """An ONNX network for ArcFace crops, (1, 3, 112, 112 or 96), RGB, (x - 127.5) / 128.

    Args:
        path: the file.

    Raises:
        ConfigError: missing, or no such network.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError(f"recognizer {path}: no such file; give an ONNX face recogniser for ArcFace crops")
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
        numbers = (crop[:, aside : aside + self._cut].astype(np.float32) - 127.5) / 128
        self._net.setInput(np.ascontiguousarray(numbers.transpose(2, 0, 1)[None]))
        return np.array(self._net.forward(), np.float32).reshape(-1)

    def _takes(self, width: int) -> bool:
        try:
            self._net.setInput(np.zeros((1, 3, SIDE, width), np.float32))
            return bool(np.isfinite(self._net.forward()).all())
        except cv2.error:
            return False
