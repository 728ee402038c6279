"""Running networks: files, errors, and the switch that lets them run elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.errors import ConfigError
from toolkit.networks import runtime
from toolkit.networks.runtime import WEIGHTS, OnnxNetwork, built_in, run_elsewhere

NETWORKS = sorted(path.stem for path in WEIGHTS.glob("*.onnx"))
INPUTS = {
    "face_detector": (128, 128, 3),
    "face_detector_full_range": (192, 192, 3),
    "face_mesh": (192, 192, 3),
    "person_segmentation": (144, 256, 3),
    "profile_points": (112, 112, 3),
}


def test_every_network_is_documented_with_its_licence() -> None:
    text = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert set(NETWORKS) == {*INPUTS, "yunet"}
    for name in NETWORKS:
        assert f"`{name}.onnx`" in text
    for name in ("LICENSE_MEDIAPIPE", "LICENSE_YUNET"):
        assert name in text and (WEIGHTS / name).stat().st_size > 1000


@pytest.mark.parametrize("name", INPUTS)
def test_an_image_in_a_batch_gives_what_it_gives_alone(name: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, *INPUTS[name]), np.uint8)
    together = built_in(name)(images)
    for place in (0, 4):
        alone = built_in(name)(images[place : place + 1])
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one[0], other[place])


def test_wrong_files_are_set_up_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="network .*: no such file; install frontalize again"):
        OnnxNetwork(tmp_path / "missing.onnx")
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes((WEIGHTS / "yunet.onnx").read_bytes()[:100_000])
    with pytest.raises(ConfigError, match="detector .*not an ONNX file that ONNX Runtime can run .*; give another"):
        OnnxNetwork(damaged, "detector ", "give another")


@pytest.fixture
def restored() -> Iterator[None]:
    yield
    run_elsewhere(runtime._open_here)


def test_networks_run_elsewhere(restored: None) -> None:
    class Doubling:
        def __call__(self, *inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
            return [2 * inputs[0].astype(np.float32)]

    asked = []

    def open_network(name: str) -> Doubling:
        asked.append(name)
        return Doubling()

    run_elsewhere(open_network)
    for _ in range(2):
        (doubled,) = built_in("face_mesh")(np.ones((1, 2), np.uint8))
        assert doubled.tolist() == [[2, 2]]
    assert asked == ["face_mesh"]


def test_errors_of_a_run_have_common_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    network = OnnxNetwork(WEIGHTS / "face_detector.onnx")
    with pytest.raises(RuntimeError, match="Got invalid dimensions"):
        network(np.zeros((1, 64, 64, 3), np.uint8))

    class Full:
        def run(self, *_: Any) -> None:
            raise ValueError("Failed to allocate memory for requested buffer of size 9437184")

    monkeypatch.setattr(network, "_session", Full())
    with pytest.raises(MemoryError, match="9437184"):
        network(np.zeros((1, 128, 128, 3), np.uint8))


def test_a_damaged_network_is_told_in_the_error_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime's fallback would print on stdout, where the commands' JSON is."""
    whole = (WEIGHTS / "yunet.onnx").read_bytes()
    (tmp_path / "x.onnx").write_bytes(whole.replace(b"\x04Conv", b"\x04Con\xff"))
    with pytest.raises(ConfigError, match="not an ONNX file that ONNX Runtime can run"):
        OnnxNetwork(tmp_path / "x.onnx")
    assert capfd.readouterr() == ("", "")
