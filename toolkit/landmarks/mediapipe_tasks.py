"""MediaPipe's Tasks API, with a Face Landmarker bundle given by path."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.faces.face import Face
from toolkit.landmarks.mediapipe_graphs import quiet_stderr
from toolkit.model_files import require_model

MAX_FACES = 16  # per look


class TaskLandmarker:
    """One look at a photo; :class:`toolkit.landmarks.finder.TaskCascade` looks again where that finds nothing.

    Args:
        bundle: a ``face_landmarker.task`` file.
        min_detection: faces that the detector believes in less are dropped, 0 to 1.
        min_presence: meshes that the network believes in less are dropped, 0 to 1.

    Raises:
        ConfigError: the file is missing or is no such bundle.
    """

    def __init__(self, bundle: Path, min_detection: float = 0.5, min_presence: float = 0.5) -> None:
        require_model(bundle, "", "give a face_landmarker.task, or leave --landmarker out")
        with quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._pack: Any = partial(mediapipe.Image, mediapipe.ImageFormat.SRGB)
            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=bundle.read_bytes()),
                num_faces=MAX_FACES,
                min_face_detection_confidence=min_detection,
                min_face_presence_confidence=min_presence,
            )
            try:
                self._task: Any = vision.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                raise ConfigError(f"{bundle}: not a Face Landmarker bundle ({error})") from error

    def find(self, photo: NDArray[np.uint8]) -> list[Face]:
        """See :class:`toolkit.faces.face.Landmarker`; this adapter reports no score."""
        found = self._task.detect(self._pack(np.ascontiguousarray(photo)))
        height, width = photo.shape[:2]
        scale = np.array([width, height, width])
        return [
            # No half pixel: see MeshModel.fit.
            Face(np.array([(point.x, point.y, point.z) for point in mesh]) * scale, None)
            for mesh in found.face_landmarks
        ]
