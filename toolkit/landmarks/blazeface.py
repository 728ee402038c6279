"""MediaPipe's two face detectors."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.landmarks.detection import Detection
from toolkit.landmarks.input_square import Matrix, letterbox_matrix, sample_letterbox
from toolkit.networks.runtime import built_in
from toolkit.photos.types import Image

Range = Literal["Short", "Full"]
_MODELS: dict[Range, tuple[str, int]] = {"Short": ("face_detector", 128), "Full": ("face_detector_full_range", 192)}
MAX_OVERLAP = 0.3  # IoU above which two boxes are of one face


class BlazeFace:
    """Find faces with one of MediaPipe's face detectors.

    Args:
        model_range: ``Short`` finds faces that fill much of the photo, ``Full`` smaller ones, in three times the time.
        min_score: detections with a lower score are dropped, 0 to 1.

    Source: Bazarevsky et al., BlazeFace, CVPRW 2019.
    """

    def __init__(self, model_range: Range, min_score: float) -> None:
        name, self._side = _MODELS[model_range]
        self._network, self._min_score = built_in(name), min_score

    def find(self, photo: Image) -> list[Detection]:
        """Find the faces of one (H, W, 3) RGB photo: detections in its pixels, best score first."""
        return self.find_all([photo])[0]

    def find_all(self, photos: Sequence[Image]) -> list[list[Detection]]:
        """Find the faces of several photos in one batch; see :meth:`find`."""
        matrices = [letterbox_matrix(photo.shape[1], photo.shape[0], self._side) for photo in photos]
        inputs = [sample_letterbox(photo, self._side) for photo in photos]
        boxes, scores = self._network(np.stack(inputs))
        return [self._detections(*one) for one in zip(boxes, scores, matrices, strict=True)]

    def _detections(self, boxes: NDArray[np.float32], scores: NDArray[np.float32], matrix: Matrix) -> list[Detection]:
        found = scores >= self._min_score
        merged = merge_overlapping(boxes[found].astype(np.float64), scores[found].astype(np.float64))
        scale, shift = matrix[0, 0] * self._side, matrix[:, 2]
        return [
            Detection(
                score,
                x=float(box[0] * scale + shift[0]),
                y=float(box[1] * scale + shift[1]),
                side=float(max(box[2:4]) * scale),
                points=box[4:].reshape(6, 2) * scale + shift,
            )
            for box, score in merged
        ]


def merge_overlapping(
    boxes: NDArray[np.float64], scores: NDArray[np.float64]
) -> list[tuple[NDArray[np.float64], float]]:
    """Merge the boxes of each face to their mean, weighted by score: MediaPipe's non-maximum suppression.

    Args:
        boxes: (N, 16) center, size and six points.
        scores: (N,).

    Returns:
        (16,) merged box and best score of each face, best score first.
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order]
    merged = []
    while len(boxes):
        same = _overlap(boxes[0], boxes) > MAX_OVERLAP
        same[0] = True  # a box without an area overlaps nothing, not even itself
        weights = scores[same]
        merged.append((weights @ boxes[same] / weights.sum(), float(scores[0])))
        boxes, scores = boxes[~same], scores[~same]
    return merged


def _overlap(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of a box with (N, 16) others, (N,)."""
    starts, sizes = others[:, :2] - others[:, 2:4] / 2, others[:, 2:4]
    start, size = box[:2] - box[2:4] / 2, box[2:4]
    common = np.minimum(start + size, starts + sizes) - np.maximum(start, starts)
    np.maximum(common, 0, out=common)
    shared = common[:, 0] * common[:, 1]
    union = size[0] * size[1] + sizes[:, 0] * sizes[:, 1] - shared
    return np.asarray(shared / np.maximum(union, 1e-12))
