"""MediaPipe's two ways to 478 landmarks: the Face Mesh of its wheel, and a Face Landmarker bundle given by path."""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.landmarks import Face

MAX_FACES = 16  # per photo and look; each found face costs about 5 ms more


class FaceMesh:
    """MediaPipe's Face Mesh, whose models travel in the wheel: no download.

    It runs the graph of MediaPipe's own FaceMesh class, with three differences: the detector's
    score comes out too; the calling thread runs it (with a process per core there is nothing
    for a thread pool to gain); and the 478 points are read from the message's bytes at once
    (unpacking them one by one takes a twentieth of the whole).

    Every photo is taken as unrelated to the one before: the result depends on the photo alone.

    Args:
        min_confidence: below this, the detector's finds are dropped; 0 to 1.
    """

    def __init__(self, min_confidence: float = 0.5) -> None:
        with _quiet_stderr():
            from mediapipe import ImageFormat
            from mediapipe.python import packet_creator
            from mediapipe.python._framework_bindings import _packet_getter
            from mediapipe.python.solution_base import SolutionBase

            self._pack = partial(packet_creator.create_image_frame, image_format=ImageFormat.SRGB)
            self._unpack = _packet_getter._get_serialized_proto_list
            detector = "facedetectionshortrangecpu__facedetectionshortrange__facedetection__"
            self._solution: Any = SolutionBase(
                graph_config=_face_mesh_graph(),
                side_inputs={"num_faces": MAX_FACES, "with_attention": True, "use_prev_landmarks": False},
                calculator_params={
                    f"{detector}TensorsToDetectionsCalculator.min_score_thresh": min_confidence,
                    "facelandmarkcpu__ThresholdingCalculator.threshold": 0.5,
                },
                outputs=["multi_face_landmarks", "face_detections"],
            )
        self._photos = 0
        self._has_found = False

    def find(self, photo: NDArray[np.uint8]) -> list[Face]:
        """See :class:`toolkit.landmarks.Landmarker`."""
        with contextlib.nullcontext() if self._has_found else _quiet_stderr():
            meshes, detections = self._run(photo)
        self._has_found |= bool(meshes)
        height, width = photo.shape[:2]
        scale = np.array([width, height, width])
        shares = [_read_points(mesh) for mesh in meshes]
        faces = [Face(xyz * scale - [0.5, 0.5, 0], _nearest_score(xyz, detections)) for xyz in shares]
        return sorted(faces, key=lambda face: -(face.score or 0))

    def _run(self, photo: NDArray[np.uint8]) -> tuple[list[bytes], list[bytes]]:
        graph, outputs = self._solution._graph, self._solution._graph_outputs
        outputs.clear()
        self._photos += 1  # the graph wants a time that grows
        graph.add_packet_to_input_stream("image", self._pack(photo).at(self._photos))
        graph.wait_until_idle()
        meshes, detections = outputs.get("multi_face_landmarks"), outputs.get("face_detections")
        if meshes is None or meshes.is_empty() or detections is None:
            return [], []
        return self._unpack(meshes), self._unpack(detections)


# A NormalizedLandmarkList on the wire: for each point a field head and the length, then x, y, z, each behind its tag.
_POINT = np.dtype([("head", "V2"), ("tx", "u1"), ("x", "<f4"), ("ty", "u1"), ("y", "<f4"), ("tz", "u1"), ("z", "<f4")])


def _read_points(mesh: bytes) -> NDArray[np.float64]:
    """(478, 3) shares of the photo's width, height and width."""
    points = np.frombuffer(mesh, _POINT)
    return np.stack([points["x"], points["y"], points["z"]], axis=1, dtype=np.float64)


def _face_mesh_graph() -> Any:
    """MediaPipe's own graph, but run by the calling thread."""
    import mediapipe
    from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
    from mediapipe.python._framework_bindings.validated_graph_config import ValidatedGraphConfig
    from mediapipe.python.solutions import face_mesh

    stored = ValidatedGraphConfig()
    stored.initialize(binary_graph_path=str(Path(mediapipe.__file__).parents[1] / face_mesh._BINARYPB_FILE_PATH))
    graph = CalculatorGraphConfig.FromString(stored.binary_config)
    del graph.executor[:]
    graph.executor.add(type="ApplicationThreadExecutor")
    return graph


def _nearest_score(shares: NDArray[np.float64], detections: list[bytes]) -> float:
    """The score of the detection whose box lies nearest: the mesh model drops some detections, so order is no guide."""
    from mediapipe.framework.formats.detection_pb2 import Detection

    centre = shares[:468, :2].mean(axis=0)

    def distance(detection: Any) -> float:
        box = detection.location_data.relative_bounding_box
        return math.hypot(box.xmin + box.width / 2 - centre[0], box.ymin + box.height / 2 - centre[1])

    return float(min(map(Detection.FromString, detections), key=distance).score[0])


class TaskLandmarker:
    """MediaPipe's Tasks API, with a Face Landmarker bundle given by path.

    Args:
        bundle: a ``face_landmarker.task`` file.
        min_confidence: as for :class:`FaceMesh`.

    Raises:
        ConfigError: the file is missing or is no such bundle.
    """

    def __init__(self, bundle: Path, min_confidence: float = 0.5) -> None:
        if not bundle.is_file():
            raise ConfigError(f"{bundle}: no such file; give a face_landmarker.task, or leave --landmarker out")
        with _quiet_stderr():
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision

            self._pack: Any = partial(mediapipe.Image, mediapipe.ImageFormat.SRGB)
            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_buffer=bundle.read_bytes()),
                num_faces=MAX_FACES,
                min_face_detection_confidence=min_confidence,
            )
            try:
                self._task: Any = vision.FaceLandmarker.create_from_options(options)
            except (RuntimeError, ValueError) as error:
                raise ConfigError(f"{bundle}: not a Face Landmarker bundle ({error})") from error

    def find(self, photo: NDArray[np.uint8]) -> list[Face]:
        """See :class:`toolkit.landmarks.Landmarker`; this adapter reports no score."""
        found = self._task.detect(self._pack(np.ascontiguousarray(photo)))
        height, width = photo.shape[:2]
        scale = np.array([width, height, width])
        return [
            Face(np.array([(point.x, point.y, point.z) for point in mesh]) * scale - [0.5, 0.5, 0], None)
            for mesh in found.face_landmarks
        ]


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hold back stderr: MediaPipe's C++ greets there, up to the first face it finds, whatever its log level is."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
