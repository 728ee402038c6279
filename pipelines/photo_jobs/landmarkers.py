"""Landmarkers for worker processes."""

import cv2
import numpy as np

from pipelines.photo_jobs.timed import TimedLandmarker
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image

BORDER = 0.3  # of the longer side: see with_border


def worker_landmarker(find: FindConfig | None = None) -> Landmarker:
    """Load a landmarker for a worker process: on one thread, timed.

    Args:
        find: its settings; None means the defaults.

    Raises:
        ConfigError: a model cannot be used.
    """
    cv2.setNumThreads(1)  # the worker processes fill the cores; threads inside each would compete for them
    return TimedLandmarker(open_landmarker(find))


def with_border(crop: Image) -> tuple[Image, int]:
    """Add a border to a tight crop, because detectors expect room around faces.

    Returns:
        The bordered crop, and the border's width in pixels.
    """
    border = round(BORDER * max(crop.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_REPLICATE), np.uint8), border
