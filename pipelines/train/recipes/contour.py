"""Where on a target the contour of the face lies: the weights of the siamese recipe's third phase."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.photo_jobs.landmarkers import open_quiet_landmarker, with_border
from pipelines.runtime.worker_pool import Crash, run_in_workers
from pipelines.train.recipes.recipe import TrainingSet
from toolkit.errors import DatasetError, PhotoError
from toolkit.faces.face import Landmarker
from toolkit.faces.head_mesh import oval
from toolkit.landmarks.finder import FindConfig
from toolkit.photos.decode import read_photo

FACES = 20  # targets whose contours are drawn over each other
WEIGHT = 5.0  # of the contour; 1 elsewhere
THICKNESS = 0.05  # of the side


def contour_weights(data: TrainingSet, size: int) -> Tensor:
    """Find the contours of twenty targets.

    Returns:
        (1, 1, size, size) float32: WEIGHT where the face's outline runs, 1 elsewhere.

    Raises:
        DatasetError: no face is found in any target.
    """
    targets = sorted({pair.target for pair in data.pairs})
    outlines: list[NDArray[np.int32]] = []
    # In a process of its own: a hundred megabytes and MediaPipe's threads are not needed any more afterwards.
    open_work = partial(_open_outliner, data.root, size)
    for outline in run_in_workers(open_work, targets, 1, lambda: len(outlines) >= FACES):
        if outline is not None and not isinstance(outline, Crash):
            outlines.append(outline)
    if not outlines:
        raise DatasetError(f"{data.root}: no face is found in any of {len(targets):,} targets; the contour needs one")
    drawn = np.zeros((size, size), np.uint8)
    for outline in outlines[:FACES]:
        cv2.polylines(drawn, [outline], True, (255,), max(1, round(THICKNESS * size)), cv2.LINE_AA)
    weights = 1 + (WEIGHT - 1) * torch.from_numpy(drawn).float() / 255
    return weights[None, None]


def _open_outliner(root: Path, size: int) -> Callable[[str], NDArray[np.int32] | None]:
    landmarker = open_quiet_landmarker(FindConfig(retries=False))
    return lambda target: _outline(root / target, landmarker, size)


def _outline(path: Path, landmarker: Landmarker, size: int) -> NDArray[np.int32] | None:
    """(36, 1, 2) px of the resized image; None where no face is found."""
    try:
        photo = read_photo(path)
    except PhotoError:
        return None
    room, border = with_border(photo)
    faces = landmarker.find(room)
    if not faces:
        return None
    points = (faces[0].landmarks[oval(), :2] - border + 0.5) * size / np.array(photo.shape[1::-1]) - 0.5
    return np.asarray(points.round()[:, None], np.int32)
