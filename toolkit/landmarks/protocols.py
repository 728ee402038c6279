"""The two interfaces through which another face finder is plugged in; see :mod:`toolkit.landmarks.registry`."""

from typing import Protocol

from toolkit.faces.face import Face
from toolkit.landmarks.detection import Detection
from toolkit.photos.types import Image


class Landmarker(Protocol):
    """Find faces with the 478 points of MediaPipe's face mesh. One instance serves one thread."""

    def find(self, photo: Image, every: bool = False) -> list[Face]:
        """Find the faces of a photo.

        Args:
            photo: (H, W, 3) RGB uint8. Not to be changed.
            every: search for all faces. Without it, the search may stop at the first view of the photo
                that shows any; with it, small faces beside a large one are searched for too.

        Returns:
            Faces in pixels of the photo, best score first; empty if there are none.
        """
        ...


class Detector(Protocol):
    """Find boxes of faces. One instance serves one thread."""

    def find(self, photo: Image) -> list[Detection]:
        """Find the faces of a photo.

        Args:
            photo: (H, W, 3) RGB uint8. Not to be changed.

        Returns:
            Detections in pixels of the photo, best score first; empty if there are none.
        """
        ...
