"""YuNet, a small face detector that is good at profiles: an ONNX file given by path, run by OpenCV."""

import math
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.landmarks.detection import Detection
from toolkit.model_files import require_model
from toolkit.photos.types import Image

INPUT_SIDE = 320  # pixels; with other sides, which published models support, no more profiles are found


class YuNet:
    """Find faces with a YuNet model.

    Args:
        model: a YuNet ONNX file, as in the OpenCV model zoo; a dynamic input size is fixed to 320 x 320.
        min_score: detections with a lower score are dropped, 0 to 1.

    Raises:
        ConfigError: the file is missing or invalid.

    Source: Wu, Peng and Yu, YuNet, Machine Intelligence Research 2023.
    """

    def __init__(self, model: Path, min_score: float = 0.6) -> None:
        require_model(model, "detector ", "give a YuNet .onnx, or leave --detector out")
        try:
            weights = np.frombuffer(_with_fixed_input(model.read_bytes()), np.uint8)
            self._net: Any = cv2.FaceDetectorYN.create(
                "onnx", weights, np.zeros(0, np.uint8), (INPUT_SIDE, INPUT_SIDE), min_score
            )
            self._net.detect(np.zeros((INPUT_SIDE, INPUT_SIDE, 3), np.uint8))  # fails here if it is another network
        except (cv2.error, DecodeError, IndexError) as error:
            raise ConfigError(f"detector {model}: not a YuNet model that OpenCV can run; leave it out") from error

    def find(self, photo: Image) -> list[Detection]:
        """See :class:`toolkit.landmarks.protocols.Detector`; the points of the ears are NaN."""
        height, width = photo.shape[:2]
        scale = INPUT_SIDE / max(height, width)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(photo, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=method)
        canvas = np.zeros((INPUT_SIDE, INPUT_SIDE, 3), np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small[:, :, ::-1]
        _, rows = self._net.detect(canvas)
        found = [] if rows is None else [_detection(row.astype(np.float64), 1 / scale) for row in rows]
        return sorted(found, key=lambda one: -one.score)


def _detection(row: NDArray[np.float64], scale: float) -> Detection:
    """Convert a row: left, top, width, height; right eye, left eye, nose, right and left mouth corner; score."""
    left, top, width, height = row[:4]
    points = np.full((6, 2), np.nan)
    points[:3] = row[4:10].reshape(3, 2)
    points[3] = row[10:14].reshape(2, 2).mean(axis=0)
    # YuNet's box spans hairline to chin. BlazeFace's square, on which region_of_detection is based, is four fifths as
    # high and an eighth of that lower (medians of 92 faces that both detect).
    side = max(width, height * 0.8)
    down = points[3] - (points[0] + points[1]) / 2
    center = np.array([left + width / 2, top + height / 2]) + 0.118 * side * down / max(math.hypot(*down), 1e-6)
    x, y = (center + 0.5) * scale - 0.5
    return Detection(float(row[14]), float(x), float(y), float(side * scale), (points + 0.5) * scale - 0.5)


def _with_fixed_input(model: bytes) -> bytes:
    """Replace a symbolic input size, with which OpenCV 4.11 cannot load a model, by a number."""
    stored = _onnx_message().FromString(model)
    sizes = stored.graph.input[0].type.tensor.shape.dim
    for size, fixed in zip(sizes, (1, 3, INPUT_SIDE, INPUT_SIDE), strict=False):
        if size.HasField("name"):
            size.ClearField("name")
            size.number = fixed
    return bytes(stored.SerializeToString())


@cache
def _onnx_message() -> Any:
    """Declare the fields of ONNX's ModelProto that lead to the input's size; protobuf keeps all others unchanged."""
    file = descriptor_pb2.FileDescriptorProto(name="onnx_input_size.proto", package="input_size", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto

    def message(name: str, *fields: tuple[str, int, str, int]) -> None:
        kept = file.message_type.add(name=name)
        for label, number, kind, repeated in fields:
            one = kept.field.add(name=label, number=number, label=repeated)
            if kind in ("int64", "string"):
                one.type = field.TYPE_INT64 if kind == "int64" else field.TYPE_STRING
            else:
                one.type, one.type_name = field.TYPE_MESSAGE, f".input_size.{kind}"

    once, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    message("Size", ("number", 1, "int64", once), ("name", 2, "string", once))
    message("Shape", ("dim", 1, "Size", many))
    message("Tensor", ("shape", 2, "Shape", once))
    message("Type", ("tensor", 1, "Tensor", once))
    message("Value", ("type", 2, "Type", once))
    message("Graph", ("input", 11, "Value", many))
    message("Model", ("graph", 7, "Graph", once))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("input_size.Model"))
