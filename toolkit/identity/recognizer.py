"""A face recognizer given by path, which compares the identity of crops. Used for evaluation only, not in training."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.faces.shape_model import load_face_shapes
from toolkit.geometry.affine import compose, invert
from toolkit.geometry.crop import crop_matrix
from toolkit.networks.runtime import OnnxNetwork
from toolkit.photos.resample import warp_crop
from toolkit.photos.types import Image

CROP_SIDE = 112  # pixels: of the ArcFace crop
INPUT_WIDTHS = (96, 112)  # pixels: of known networks, tried in this order; 96 are the middle columns of the crop
GRAY = 127  # level of missing pixels: nearly 0 after normalization


def to_recognizer_crop(crop: Image) -> Image:
    """Convert a chin crop to an ArcFace crop, with one matrix for all crops.

    An ArcFace crop shows more forehead and cheeks than a chin crop; the missing pixels are gray. The matrix maps
    the landmarks of the mean face in the one template to those in the other. It does not depend on the image, so
    photos, frontal views and generated faces are aligned in the same way, and their cosines are comparable.

    Args:
        crop: (S, S, 3) RGB uint8, template ``chin``.

    Returns:
        (112, 112, 3) RGB uint8.
    """
    size = len(crop)
    mean, _ = load_face_shapes()
    matrix = compose(crop_matrix(mean, CROP_SIDE, "arcface"), invert(crop_matrix(mean, size, "chin")))
    border = size // 2  # an ArcFace crop extends by 0.43 of the side beyond the chin crop
    padded = cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_CONSTANT, value=(GRAY, GRAY, GRAY))
    matrix[:, 2] -= matrix[:, :2] @ [border, border]
    return warp_crop(np.asarray(padded, np.uint8), matrix, CROP_SIDE)


class Recognizer:
    """An ONNX network that computes face embeddings of ArcFace crops.

    Args:
        path: of the ONNX file. Its input is (1, 3, 112, 112) or (1, 3, 112, 96), RGB, ``(x - 127.5) / 128``.

    Raises:
        ConfigError: the file is missing or is not such a network.
    """

    def __init__(self, path: Path) -> None:
        self._network = OnnxNetwork(path, "recognizer ", "give an ONNX face recognizer for ArcFace crops")
        self._width = next((width for width in INPUT_WIDTHS if self._accepts(width)), 0)
        if not self._width:
            sizes = f"neither {CROP_SIDE} x 96 nor {CROP_SIDE} x 112 pixels"
            raise ConfigError(f"recognizer {path}: its input is {sizes}; give a network for ArcFace crops")

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float64]:
        """Compute the embeddings of faces.

        Args:
            crops: N arrays, (112, 112, 3) RGB uint8, template ``arcface``.

        Returns:
            (N, D) unit vectors, each the sum for a crop and its mirror image. Their dot products are cosines.
        """
        sums = [self._run(crop) + self._run(crop[:, ::-1]) for crop in crops]
        embeddings = np.array(sums, np.float64)
        return np.asarray(embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12))

    def _run(self, crop: Image) -> NDArray[np.float32]:
        left = (CROP_SIDE - self._width) // 2
        columns = crop[:, left : left + self._width]
        levels = (columns.astype(np.float32) - 127.5) / 128
        return self._network(np.ascontiguousarray(levels.transpose(2, 0, 1)[None]))[0].reshape(-1)

    def _accepts(self, width: int) -> bool:
        try:
            [embedding, *_] = self._network(np.zeros((1, 3, CROP_SIDE, width), np.float32))
        except RuntimeError:
            return False
        return bool(np.isfinite(embedding).all())
