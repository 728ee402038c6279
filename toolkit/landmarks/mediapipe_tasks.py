"""A landmarker that runs a MediaPipe Face Landmarker bundle, given by path."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import ConfigError
from toolkit.faces.face import Face, remove_duplicates
from toolkit.landmarks import search_views
from toolkit.landmarks.blazeface import BlazeFace
from toolkit.landmarks.config import FindConfig
from toolkit.landmarks.face_mesh import FaceMesh
from toolkit.landmarks.orientation import OrientationSearch
from toolkit.landmarks.yunet import YuNet
from toolkit.model_files import require_model
from toolkit.photos.types import Image

MAX_FACES = 16  # per view


class TaskFaceFinder:
    """Run a Face Landmarker bundle on the upright photo, and on other views of it where it finds nothing.

    Args:
        config: thresholds, and the path of a ``face_landmarker.task``.

    Raises:
        ConfigError: the file is missing or invalid.
    """

    def __init__(self, config: FindConfig) -> None:
        if config.landmarker is None:
            raise ConfigError("landmarker: none given; this finder runs a face_landmarker.task")
        self._retries = config.retries
        detector = BlazeFace("Short", config.min_detection)
        self._second = YuNet()
        self._orientation = OrientationSearch(detector, self._second, FaceMesh(), rotate=config.retries)
        self._task = TaskLandmarker(Path(config.landmarker), config.min_detection, config.min_presence)

    def find(self, photo: Image, every: bool = False) -> list[Face]:
        """See :class:`toolkit.landmarks.protocols.Landmarker`."""
        upright = self._orientation.find(photo).view
        image = np.ascontiguousarray(upright.image)
        faces = self._task.find(image)
        if self._retries and (every or not faces):
            for view in (
                search_views.padded_view(image),
                *(search_views.view_around(image, "yunet", one.x, one.y, one.side) for one in self._second.find(image)),
                *search_views.tile_views(image),
            ):
                found = [search_views.face_to_photo(face, view) for face in self._task.find(view.image)]
                faces = remove_duplicates([*faces, *found])
                if faces and not every:
                    break
        return [search_views.face_to_photo(face, upright) for face in faces]


class TaskLandmarker:
    """Run a Face Landmarker bundle on one image.

    Args:
        bundle: a ``face_landmarker.task`` file.
        min_detection: detections with a lower score are dropped, 0 to 1.
        min_presence: meshes with a lower presence are dropped, 0 to 1.

    Raises:
        ConfigError: the file is missing or invalid.
    """

    def __init__(self, bundle: Path, min_detection: float = 0.5, min_presence: float = 0.5) -> None:
        require_model(bundle, "landmarker ", "give a face_landmarker.task, or leave --landmarker out")
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            way_out = "pip install 'frontalize[mediapipe]', or leave --landmarker out"
            raise ConfigError(
                f"landmarker {bundle}: MediaPipe runs it and cannot be imported ({error}); {way_out}"
            ) from error
        self._pack: Any = partial(mediapipe.Image, mediapipe.ImageFormat.SRGB)
        options = vision.FaceLandmarkerOptions(
            base_options=BaseOptions(model_asset_buffer=bundle.read_bytes()),
            num_faces=MAX_FACES,
            min_face_detection_confidence=min_detection,
            min_face_presence_confidence=min_presence,
        )
        try:
            self._task: Any = vision.FaceLandmarker.create_from_options(options)
        except OSError as error:  # a shared library is missing
            way_out = "on Debian: apt-get install libegl1 libgles2"
            raise ConfigError(f"landmarker {bundle}: MediaPipe cannot start ({error}); {way_out}") from error
        except (RuntimeError, ValueError) as error:
            raise ConfigError(f"landmarker {bundle}: not a Face Landmarker bundle ({error})") from error

    def close(self) -> None:
        """End MediaPipe's threads; left to the end of the interpreter, they print an error."""
        self._task.close()

    def find(self, image: Image) -> list[Face]:
        """Find the faces of an (H, W, 3) RGB image, in its pixels; MediaPipe reports no scores for them."""
        found = self._task.detect(self._pack(np.ascontiguousarray(image)))
        height, width = image.shape[:2]
        scale = np.array([width, height, width])
        return [
            # Coordinates without half a pixel: see toolkit.landmarks.input_square.
            Face(np.array([(point.x, point.y, point.z) for point in mesh]) * scale, None)
            for mesh in found.face_landmarks
        ]
