"""Model files that are too large or damaged are refused before they are loaded."""

import os
from pathlib import Path

import pytest

from toolkit.errors import ConfigError
from toolkit.identity.recognizer import Recognizer
from toolkit.landmarks.mediapipe_tasks import TaskLandmarker
from toolkit.landmarks.yunet import YuNet

READERS = pytest.mark.parametrize("reader", [Recognizer, YuNet, TaskLandmarker])
Reader = type[Recognizer] | type[YuNet] | type[TaskLandmarker]


@READERS
def test_models_beyond_the_bound_are_not_read(reader: Reader, tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    os.truncate(tmp_path / "model", 2 << 30)  # a hole: takes no room on disk
    with pytest.raises(ConfigError, match="bytes, the limit is"):
        reader(tmp_path / "model")


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"\xff" * 1000, b"PK\x03\x04" + bytes(99)])
@READERS
def test_models_that_are_none_are_refused(reader: Reader, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ConfigError, match="model: "):
        reader(tmp_path / "model")
