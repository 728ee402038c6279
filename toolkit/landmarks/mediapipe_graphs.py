"""MediaPipe's networks, each in a graph of its own: two face detectors, the face mesh and person segmentation.

MediaPipe's FaceMesh class hides the detector's score, the presence that the mesh network reports,
and the square that is its input. Separate graphs make it possible to choose the square (see
:mod:`toolkit.landmarks.detection`) and to repeat a failed search, at the same speed. The models
are part of MediaPipe's wheel, so nothing is downloaded.
"""

import contextlib
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from toolkit.faces.face import flip_landmarks
from toolkit.landmarks.detection import Detection, Region
from toolkit.photos.types import Image

Range = Literal["Short", "Full"]

# A serialized NormalizedLandmarkList: for each point a tag and the length, then x, y, z, each after its tag.
# Parsing the points one by one takes a twentieth of all the time.
_POINT = np.dtype([("head", "V2"), ("tx", "u1"), ("x", "<f4"), ("ty", "u1"), ("y", "<f4"), ("tz", "u1"), ("z", "<f4")])

# Bias of the mesh network: all its points lie this far to the right, as a share of its square (0.3 pixels of its 192).
# It is half the mean difference between the meshes of 200 photos and of their mirror images.
X_BIAS = 0.0015
_PRESENCE = "facelandmarkcpu__face_presence_score"


class Frame:
    """A photo converted for MediaPipe once, for several graphs.

    Args:
        photo: (H, W, 3) RGB uint8.
    """

    def __init__(self, photo: Image) -> None:
        from mediapipe import ImageFormat
        from mediapipe.python import packet_creator

        self.photo = photo
        self.height, self.width = photo.shape[:2]
        self.packet = packet_creator.create_image_frame(np.ascontiguousarray(photo), image_format=ImageFormat.SRGB)


class BlazeFace:
    """MediaPipe's face detector.

    Args:
        model_range: ``Short`` finds faces that fill much of the photo, ``Full`` smaller ones, in three times the time.
        min_score: detections with a lower score are dropped, 0 to 1.
    """

    def __init__(self, model_range: Range, min_score: float) -> None:
        self._graph = _Graph(
            'input_stream: "image" output_stream: "detections" node {'
            f' calculator: "FaceDetection{model_range}RangeCpu"'
            ' input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }',
            outputs=["detections"],
            side_inputs={},
            settings={"TensorsToDetectionsCalculator": ("min_score_thresh", min_score)},
        )

    def find(self, frame: Frame) -> list[Detection]:
        """Find the faces of a photo: detections in its pixels, best score first."""
        from mediapipe.framework.formats.detection_pb2 import Detection as Message

        packet = self._graph.run(image=frame.packet).get("detections")
        if packet is None or packet.is_empty():
            return []
        scale = np.array([frame.width, frame.height])
        found = []
        for message in map(Message.FromString, self._graph.unpack_list(packet)):
            location = message.location_data
            box = location.relative_bounding_box
            center = np.array([box.xmin + box.width / 2, box.ymin + box.height / 2]) * scale
            points = np.array([(point.x, point.y) for point in location.relative_keypoints]) * scale
            side = max(box.width * frame.width, box.height * frame.height)
            found.append(Detection(message.score[0], float(center[0]), float(center[1]), side, points))
        return sorted(found, key=lambda one: -one.score)


class MeshModel:
    """MediaPipe's Face Mesh network with attention: 478 points of the face in a given square."""

    def __init__(self) -> None:
        from mediapipe.framework.formats.rect_pb2 import NormalizedRect
        from mediapipe.python import packet_creator

        self._rect, self._pack = NormalizedRect, packet_creator.create_proto
        self._graph = _Graph(
            'input_stream: "image" input_stream: "region" input_side_packet: "with_attention"'
            ' output_stream: "landmarks" node { calculator: "FaceLandmarkCpu" input_stream: "IMAGE:image"'
            ' input_stream: "ROI:region" input_side_packet: "WITH_ATTENTION:with_attention"'
            ' output_stream: "LANDMARKS:landmarks" }',
            outputs=["landmarks", _PRESENCE],
            side_inputs={"with_attention": True},
            settings={"ThresholdingCalculator": ("threshold", 0.0)},
        )

    def fit(self, frame: Frame, region: Region) -> tuple[NDArray[np.float64], float]:
        """Run the network on a square of a photo.

        Returns:
            (478, 3) landmarks: x, y in pixels of the photo, z on the same scale, away from
            the camera; and the presence, the network's confidence that the square shows a face, 0 to 1.
        """
        rect = self._rect(
            x_center=region.x / frame.width,
            y_center=region.y / frame.height,
            width=region.side / frame.width,
            height=region.side / frame.height,
            rotation=region.angle,
        )
        packets = self._graph.run(image=frame.packet, region=self._pack(rect))
        points = np.frombuffer(self._graph.unpack(packets["landmarks"]), _POINT)
        # Coordinates are divided by the width, without half a pixel: MediaPipe's sampling of the square ignores the
        # offset between a pixel's edge and its center. So a photo rotated by 180 degrees gives the same mesh.
        landmarks = np.empty((len(points), 3))
        bias = X_BIAS * region.side
        landmarks[:, 0] = points["x"] * float(frame.width) - bias * math.cos(region.angle)
        landmarks[:, 1] = points["y"] * float(frame.height) - bias * math.sin(region.angle)
        landmarks[:, 2] = points["z"] * float(frame.width)
        return landmarks, self._graph.unpack_float(packets[_PRESENCE])

    def fit_flipped(self, flipped: Frame, region: Region) -> NDArray[np.float64]:
        """Run the network on the horizontally flipped photo.

        Args:
            flipped: the flipped photo.
            region: of the photo itself.

        Returns:
            (478, 3) landmarks of the photo itself, as :meth:`fit` returns them.
        """
        region = replace(region, x=flipped.width - 1 - region.x, angle=-region.angle)
        landmarks, _ = self.fit(flipped, region)
        return flip_landmarks(landmarks, flipped.width)


class PersonModel:
    """MediaPipe's selfie segmentation."""

    def __init__(self) -> None:
        self._graph = _Graph(
            'input_stream: "image" input_side_packet: "model" output_stream: "mask" node {'
            ' calculator: "SelfieSegmentationCpu" input_stream: "IMAGE:image" output_stream: "SEGMENTATION_MASK:mask"'
            ' input_side_packet: "MODEL_SELECTION:model" }',
            outputs=["mask"],
            side_inputs={"model": 1},  # the landscape model: half the time, and the views keep as much of the identity
            settings={},
        )

    def mask(self, photo: Image) -> NDArray[np.float32]:
        """Segment the person of an (H, W, 3) RGB photo.

        Returns:
            (H, W) float32, 0 to 1; the network's resolution is 144 x 256.
        """
        packet = self._graph.run(image=Frame(photo).packet)["mask"]
        return np.array(self._graph.unpack_image(packet).numpy_view(), np.float32)


class _Graph:
    """A MediaPipe graph that runs in the calling thread.

    One process runs per core, so MediaPipe's thread pool would gain nothing.

    Args:
        text: a CalculatorGraphConfig in protobuf's text format.
        outputs: names of the streams to observe.
        side_inputs: values of the side packets.
        settings: calculator -> (option, value), set at each such calculator of the expanded graph.
    """

    def __init__(
        self, text: str, outputs: list[str], side_inputs: dict[str, int], settings: dict[str, tuple[str, float]]
    ) -> None:
        with quiet_stderr():
            from google.protobuf import text_format
            from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
            from mediapipe.python import packet_creator
            from mediapipe.python._framework_bindings import _packet_getter, calculator_graph
            from mediapipe.python._framework_bindings.validated_graph_config import ValidatedGraphConfig

            _set_resource_folder()
            stored = ValidatedGraphConfig()
            stored.initialize(graph_config=text_format.Parse(text, CalculatorGraphConfig()))
            config = CalculatorGraphConfig.FromString(stored.binary_config)
            del config.executor[:]
            config.executor.add(type="ApplicationThreadExecutor")
            for node in config.node:
                if node.calculator in settings:
                    _set(node, *settings[node.calculator])
            self._graph: Any = calculator_graph.CalculatorGraph(graph_config=config)
            self._outputs: dict[str, Any] = {}
            for stream in outputs:
                self._graph.observe_output_stream(stream, self._outputs.__setitem__, True)
            pack = {bool: packet_creator.create_bool, int: packet_creator.create_int}
            self._graph.start_run({name: pack[type(value)](value) for name, value in side_inputs.items()})
        self.unpack, self.unpack_list = _packet_getter._get_serialized_proto, _packet_getter._get_serialized_proto_list
        self.unpack_float, self.unpack_image = _packet_getter.get_float, _packet_getter.get_image_frame
        self._runs = 0

    def run(self, **inputs: Any) -> dict[str, Any]:
        """Send one packet to each input stream; return the packets of the outputs by stream."""
        self._runs += 1  # the timestamp, which must increase
        self._outputs.clear()
        with quiet_stderr() if self._runs == 1 else contextlib.nullcontext():
            for stream, packet in inputs.items():
                self._graph.add_packet_to_input_stream(stream, packet.at(self._runs))
            self._graph.wait_until_idle()
        return self._outputs


def _set_resource_folder() -> None:
    """Set the folder to which the graphs' model paths are relative: the one that contains the package."""
    import mediapipe
    from mediapipe.python._framework_bindings import resource_util

    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))


def _set(node: Any, option: str, value: float) -> None:
    """Set one option of a calculator; in the expanded graph its options are packed messages."""
    from google.protobuf import symbol_database
    from mediapipe.calculators.tensor import tensors_to_detections_calculator_pb2  # noqa: F401  registers the message
    from mediapipe.calculators.util import thresholding_calculator_pb2  # noqa: F401

    symbols = symbol_database.Default()
    for packed in node.node_options:
        options = symbols.GetSymbol(packed.type_url.rpartition("/")[2])()
        packed.Unpack(options)
        setattr(options, option, value)
        packed.Pack(options)
    for descriptor, _ in node.options.ListFields():
        setattr(node.options.Extensions[descriptor], option, value)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Silence stderr: MediaPipe's C++ code logs there on its first run, at any log level."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
