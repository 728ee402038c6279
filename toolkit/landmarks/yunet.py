"""YuNet, a small face detector that is good at profiles."""

import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.landmarks.detection import Detection
from toolkit.networks.runtime import Network, OnnxNetwork, built_in
from toolkit.photos.types import Image

INPUT_SIDE = 320  # pixels, where the file leaves it open; with larger ones no more profiles are found
STRIDES = (8, 16, 32)  # pixels of the input per cell of the three output maps
MIN_SCORE = 0.6  # detections with a lower score are often no faces
MAX_OVERLAP = 0.3  # IoU above which the lower-scoring of two boxes is dropped


class YuNet:
    """Find faces with a YuNet model.

    Args:
        model: a YuNet ONNX file, as in the OpenCV model zoo; None means the built-in one.
        min_score: detections with a lower score are dropped, 0 to 1.

    Raises:
        ConfigError: the file is missing or invalid.

    Source: Wu, Peng and Yu, YuNet, Machine Intelligence Research 2023.
    """

    def __init__(self, model: Path | None = None, min_score: float = MIN_SCORE) -> None:
        self._min_score, self._side = min_score, INPUT_SIDE
        self._network: Network = built_in("yunet") if model is None else self._load(model)

    def _load(self, model: Path) -> OnnxNetwork:
        """Load a file, and check on a black image that it is a YuNet model."""
        network = OnnxNetwork(model, "detector ", "give a YuNet .onnx, or leave --detector out")
        (shape, *others) = network.input_shapes
        if not others and len(shape) == 4 and isinstance(shape[2], int) and shape[2] == shape[3]:
            self._side = shape[2]
        counts = [(self._side // stride) ** 2 for stride in STRIDES]
        expected = [(1, count, width) for width in (1, 1, 4, 10) for count in counts]
        try:
            found = [one.shape for one in network(np.zeros((1, 3, self._side, self._side), np.float32))]
        except RuntimeError as error:
            raise ConfigError(f"detector {model}: not a YuNet model ({error}); leave it out") from error
        if found != expected:
            raise ConfigError(f"detector {model}: not a YuNet model, outputs {found}; leave it out")
        return network

    def find(self, photo: Image) -> list[Detection]:
        """See :class:`toolkit.landmarks.protocols.Detector`; the points of the ears are NaN."""
        height, width = photo.shape[:2]
        scale = self._side / max(height, width)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(photo, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=method)
        canvas = np.zeros((self._side, self._side, 3), np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small[:, :, ::-1]
        outputs = self._network(np.ascontiguousarray(canvas.transpose(2, 0, 1)[None], np.float32))
        rows = _decode([output[0] for output in outputs], self._side, self._min_score)
        return [_detection(row, 1 / scale) for row in rows]


def _decode(outputs: list[NDArray[np.float32]], side: int, min_score: float) -> NDArray[np.float64]:
    """Decode the network's outputs.

    Args:
        outputs: class scores, face scores, boxes and points, each for three strides, (cells, 1 / 1 / 4 / 10).
        side: of the input, pixels.
        min_score: rows with a lower score are dropped.

    Returns:
        (N, 15) left, top, width, height; x and y of right eye, left eye, nose, right and left mouth corner; score. Best
        score first, overlapping ones dropped.
    """
    found = []
    for level, stride in enumerate(STRIDES):
        classes, faces, boxes, points = outputs[level :: len(STRIDES)]
        scores = np.sqrt(classes.clip(0, 1) * faces.clip(0, 1))
        (cells,) = np.nonzero(scores[:, 0] >= min_score)
        place = np.stack([cells % (side // stride), cells // (side // stride)], axis=1)  # x, y
        sizes = np.exp(boxes[cells, 2:4]) * stride
        corner = (boxes[cells, :2] + place) * stride - sizes / 2
        found.append(np.hstack([corner, sizes, (points[cells] + np.tile(place, 5)) * stride, scores[cells]]))
    rows = np.concatenate(found, dtype=np.float64)
    kept = cv2.dnn.NMSBoxes(rows[:, :4].tolist(), rows[:, 14].tolist(), min_score, MAX_OVERLAP) if len(rows) else []
    return np.asarray(rows[np.asarray(kept, int).ravel()])


def _detection(row: NDArray[np.float64], scale: float) -> Detection:
    """Convert a row: left, top, width, height; right eye, left eye, nose, right and left mouth corner; score."""
    left, top, width, height = row[:4]
    points = np.full((6, 2), np.nan)
    points[:3] = row[4:10].reshape(3, 2)
    points[3] = row[10:14].reshape(2, 2).mean(axis=0)
    # YuNet's box spans hairline to chin. BlazeFace's square, on which region_of_detection is based, is four fifths as
    # high and an eighth of that lower (medians of 92 faces that both detect).
    side = max(width, height * 0.8)
    down = points[3] - (points[0] + points[1]) / 2
    center = np.array([left + width / 2, top + height / 2]) + 0.118 * side * down / max(math.hypot(*down), 1e-6)
    x, y = (center + 0.5) * scale - 0.5
    return Detection(float(row[14]), float(x), float(y), float(side * scale), (points + 0.5) * scale - 0.5)
