"""Landmarkers for worker processes."""

import gc
import sys
from types import ModuleType

import cv2
import numpy as np
from numpy.typing import NDArray

from pipelines.photo_jobs.timed import TimedLandmarker
from toolkit.faces.face import Landmarker
from toolkit.landmarks.averaging import SteadyMesh
from toolkit.landmarks.finder import FindConfig, open_landmarker

BORDER = 0.3  # of the side: see with_border


def open_quiet_landmarker(find: FindConfig) -> Landmarker:
    """A landmarker for a worker process: on one thread, and without what only people at a prompt need."""
    cv2.setNumThreads(1)  # the worker processes fill the cores; threads inside each would only fight over them
    _skip_matplotlib()
    landmarker = TimedLandmarker(open_landmarker(find))
    gc.freeze()  # MediaPipe brings many objects that live as long as the process: collections need not look at them
    return landmarker


def open_view_landmarker() -> tuple[Landmarker, SteadyMesh]:
    """What finds the face for a frontal view, and what steadies its mesh, once, in the view's own resolution."""
    return open_quiet_landmarker(FindConfig(steady=False)), SteadyMesh()


def _skip_matplotlib() -> None:
    """MediaPipe loads matplotlib for drawings that no worker makes: half of a worker's start, and 60 MB."""
    if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
        for name in ("matplotlib", "matplotlib.pyplot"):
            sys.modules[name] = ModuleType(name)


def with_border(crop: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """A tight crop with the room around it that the detector wants; and the border's width, pixels."""
    border = round(BORDER * max(crop.shape[:2]))
    return np.asarray(cv2.copyMakeBorder(crop, border, border, border, border, cv2.BORDER_REPLICATE), np.uint8), border
