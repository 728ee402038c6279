"""MediaPipe's own graphs, taken apart: its two face detectors and its mesh model, each to be called alone.

MediaPipe's FaceMesh class hides the detector's score, the mesh model's belief in its own
result, and the square it looks at. Called alone, the parts let us choose the square (see
:mod:`toolkit.landmarks.detection`) and look again where the first look fails, at the same speed.
The models travel in the wheel: no download.
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

from toolkit.faces.face import mirrored
from toolkit.landmarks.detection import Detection, Region

Range = Literal["Short", "Full"]

# A NormalizedLandmarkList on the wire: for each point a field head and the length, then x, y, z, each behind its tag.
# Unpacking the points one by one takes a twentieth of all the time.
_POINT = np.dtype([("head", "V2"), ("tx", "u1"), ("x", "<f4"), ("ty", "u1"), ("y", "<f4"), ("tz", "u1"), ("z", "<f4")])

# The network puts all points this far to the right, as a share of its square (0.3 pixels of its 192): half the mean
# difference between the meshes of 200 photos and of their mirror images.
RIGHTWARD = 0.0015
_PRESENCE = "facelandmarkcpu__face_presence_score"


class Frame:
    """One photo packed for MediaPipe, once for all graphs that look at it.

    Args:
        photo: (H, W, 3) RGB uint8.
    """

    def __init__(self, photo: NDArray[np.uint8]) -> None:
        from mediapipe import ImageFormat
        from mediapipe.python import packet_creator

        self.photo = photo
        self.height, self.width = photo.shape[:2]
        self.packet = packet_creator.create_image_frame(np.ascontiguousarray(photo), image_format=ImageFormat.SRGB)


class FaceDetector:
    """BlazeFace: ``Short`` sees faces that fill much of the photo, ``Full`` smaller ones, in thrice the time.

    Args:
        reach: which of the two.
        min_score: below this, finds are dropped.
    """

    def __init__(self, reach: Range, min_score: float) -> None:
        self._graph = _Graph(
            f'input_stream: "image" output_stream: "detections" node {{ calculator: "FaceDetection{reach}RangeCpu"'
            ' input_stream: "IMAGE:image" output_stream: "DETECTIONS:detections" }',
            outputs=["detections"],
            side_inputs={},
            settings={"TensorsToDetectionsCalculator": ("min_score_thresh", min_score)},
        )

    def find(self, frame: Frame) -> list[Detection]:
        """Find faces, best score first, pixels of the photo."""
        from mediapipe.framework.formats.detection_pb2 import Detection as Message

        packet = self._graph.run(image=frame.packet).get("detections")
        if packet is None or packet.is_empty():
            return []
        scale = np.array([frame.width, frame.height])
        found = []
        for message in map(Message.FromString, self._graph.unpack_list(packet)):
            place = message.location_data
            box = place.relative_bounding_box
            centre = np.array([box.xmin + box.width / 2, box.ymin + box.height / 2]) * scale
            points = np.array([(point.x, point.y) for point in place.relative_keypoints]) * scale
            side = max(box.width * frame.width, box.height * frame.height)
            found.append(Detection(message.score[0], float(centre[0]), float(centre[1]), side, points))
        return sorted(found, key=lambda one: -one.score)


class MeshModel:
    """The Face Mesh network with attention: 478 points of the face in a given square."""

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
        """Fit the mesh.

        Returns:
            (478, 3) landmarks: x, y in pixels of the photo, z on the same scale, away from
            the camera; and the presence, the network's belief that a face is there, 0 to 1.
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
        # Pixel numbers go in and come out as if they were shares of the width: MediaPipe samples the square without the
        # half pixel between a pixel's edge and its centre. Taken so, a photo turned by 180 degrees gives the same mesh.
        landmarks = np.empty((len(points), 3))
        back = RIGHTWARD * region.side
        landmarks[:, 0] = points["x"] * float(frame.width) - back * math.cos(region.angle)
        landmarks[:, 1] = points["y"] * float(frame.height) - back * math.sin(region.angle)
        landmarks[:, 2] = points["z"] * float(frame.width)
        return landmarks, self._graph.unpack_float(packets[_PRESENCE])

    def fit_mirrored(self, flipped: Frame, region: Region) -> NDArray[np.float64]:
        """Fit the mesh to a photo's mirror image.

        Args:
            flipped: the mirror image.
            region: of the photo itself.

        Returns:
            (478, 3) landmarks of the photo itself, as :meth:`fit` has them.
        """
        across = flipped.width - 1
        landmarks, _ = self.fit(flipped, replace(region, x=across - region.x, angle=-region.angle))
        return mirrored(landmarks, flipped.width)


class PersonModel:
    """Selfie segmentation: which pixels show a person."""

    def __init__(self) -> None:
        self._graph = _Graph(
            'input_stream: "image" input_side_packet: "model" output_stream: "mask" node {'
            ' calculator: "SelfieSegmentationCpu" input_stream: "IMAGE:image" output_stream: "SEGMENTATION_MASK:mask"'
            ' input_side_packet: "MODEL_SELECTION:model" }',
            outputs=["mask"],
            side_inputs={"model": 1},  # the wide one: half the work, and profiles keep as much of who they are
            settings={},
        )

    def mask(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W) float32, 0 to 1, for (H, W, 3) RGB uint8; the network sees 144 x 256 of it."""
        packet = self._graph.run(image=Frame(photo).packet)["mask"]
        return np.array(self._graph.unpack_image(packet).numpy_view(), np.float32)


class _Graph:
    """A MediaPipe graph given as text, run by the calling thread.

    With a process per core there is nothing for MediaPipe's own thread pool to gain.

    Args:
        text: a CalculatorGraphConfig in protobuf's text form.
        outputs: streams to observe.
        side_inputs: flags and numbers given once, at the start.
        settings: calculator -> (option, value): set wherever the expanded graph has that calculator.
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

            _say_where_models_are()
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
        """One packet into each input stream; what came out, by stream."""
        self._runs += 1  # the graph wants a time that grows
        self._outputs.clear()
        with quiet_stderr() if self._runs == 1 else contextlib.nullcontext():
            for stream, packet in inputs.items():
                self._graph.add_packet_to_input_stream(stream, packet.at(self._runs))
            self._graph.wait_until_idle()
        return self._outputs


def _say_where_models_are() -> None:
    """Graphs name their models relative to the folder that holds the package."""
    import mediapipe
    from mediapipe.python._framework_bindings import resource_util

    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))


def _set(node: Any, option: str, value: float) -> None:
    """Set one option of a calculator; the expanded graph keeps options packed, with their type in the URL."""
    from google.protobuf import symbol_database
    from mediapipe.calculators.tensor import tensors_to_detections_calculator_pb2  # noqa: F401  registers its options
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
    """Hold back stderr: MediaPipe's C++ greets there on its first run, whatever its log level is."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
