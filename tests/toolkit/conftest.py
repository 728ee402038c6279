"""Fixtures for tests that need one face and space around it."""

import cv2
import numpy as np
import pytest

from toolkit.faces.face import Face
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.types import Image


@pytest.fixture(scope="session")
def head_photo(portrait: Image) -> Image:
    """The portrait, cropped and enlarged: a face of 150 px with space around it."""
    return np.asarray(cv2.resize(portrait[:400, 20:420], None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC), np.uint8)


@pytest.fixture(scope="session")
def face(head_photo: Image, landmarker: Landmarker) -> Face:
    """The face in ``head_photo``."""
    return landmarker.find(head_photo)[0]
