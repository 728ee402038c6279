"""Landmarkers for worker processes."""

import gc
import sys
from types import ModuleType

import cv2
import numpy as np

from pipelines.photo_jobs.timed import TimedLandmarker
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.finder import open_landmarker
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image

BORDER = 0.3  # of the longer side: see with_border


def worker_landmarker(find: FindConfig | None = None) -> Landmarker:
    """Load a landmarker for a worker process: on one thread, timed, without imports that only notebooks need.

    Args:
        find: its settings; None means the defaults.

    Raises:
        ConfigError: a model cannot be used.
    """
    cv2.setNumThreads(1)  # the worker processes fill the cores; threads inside each would compete for them
    if find is None or find.is_built_in:
        _skip_matplotlib()
    landmarker = TimedLandmarker(open_landmarker(find))
    gc.freeze()  # MediaPipe creates many objects that live as long as the process: collections need not visit them
    return landmarker


def _skip_matplotlib() -> None:
    """MediaPipe imports matplotlib for drawings that no worker makes: half of a worker's start, and 60 MB."""
    if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
        for name in ("matplotlib", "matplotlib.pyplot"):
            sys.modules[name] = ModuleType(name)


def with_border(crop: Image) -> tuple[Image, int]:
    """Add a border to a tight crop, because detectors expect room around faces.

    Returns:
        The bordered crop, and the border's width in pixels.
    """
    border = round(BORDER * max(crop.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_REPLICATE), np.uint8), border
