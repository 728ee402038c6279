"""A map of pixel weights that emphasizes the contour of the face, from landmarks of a set's targets."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.photo_jobs.landmarkers import with_border, worker_landmarker
from pipelines.runtime.worker_pool import Crash, run_in_workers
from toolkit.errors import DatasetError, PhotoError
from toolkit.faces.head_mesh import face_oval
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import read_photo
from toolkit.records.subjects import Pair

FACES = 20  # targets whose contours are drawn over each other
CONTOUR_WEIGHT = 5.0  # elsewhere 1
THICKNESS = 0.05  # of the image's side


def contour_weights(root: Path, pairs: Sequence[Pair], size: int) -> Tensor:
    """Draw the face contours of up to twenty targets over each other.

    Args:
        root: of the set.
        pairs: of the set.
        size: of the map, pixels.

    Returns:
        (1, 1, size, size) float32: CONTOUR_WEIGHT on the contours, 1 elsewhere, in between at their edges.

    Raises:
        DatasetError: no face is found in any target.
    """
    targets = sorted({pair.target for pair in pairs})
    contours: list[NDArray[np.int32]] = []
    # In a process of its own, which frees the networks' memory when it ends.
    load, work = partial(worker_landmarker, FindConfig(retries=False)), partial(_contour, root, size)
    for contour in run_in_workers(load, work, targets, 1, lambda: len(contours) >= FACES):
        if contour is not None and not isinstance(contour, Crash):
            contours.append(contour)
    if not contours:
        raise DatasetError(f"{root}: no face is found in any of {len(targets):,} targets; phase=contour needs one")
    drawn = np.zeros((size, size), np.uint8)
    for contour in contours[:FACES]:
        cv2.polylines(drawn, [contour], True, (255,), max(1, round(THICKNESS * size)), cv2.LINE_AA)
    weights = 1 + (CONTOUR_WEIGHT - 1) * torch.from_numpy(drawn).float() / 255
    return weights[None, None]


def _contour(root: Path, size: int, landmarker: Landmarker, target: str) -> NDArray[np.int32] | None:
    """(36, 1, 2) pixels of the resized target; None where no face is found."""
    try:
        photo = read_photo(root / target)
    except PhotoError:
        return None
    bordered, border = with_border(photo)
    faces = landmarker.find(bordered)
    if not faces:
        return None
    points = (faces[0].landmarks[face_oval(), :2] - border + 0.5) * size / np.array(photo.shape[1::-1]) - 0.5
    return np.asarray(points.round()[:, None], np.int32)
