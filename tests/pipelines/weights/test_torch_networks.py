"""The built-in networks by torch: equal to ONNX Runtime's within rounding, alone and in whole runs."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.photo_jobs import device_networks
from pipelines.weights.torch_networks import TorchNetwork, full_precision, open_networks
from tests.conftest import Run, touch
from toolkit.errors import ConfigError
from toolkit.networks.runtime import WEIGHTS, OnnxNetwork
from toolkit.photos.decode import read_photo
from toolkit.photos.files import encode_image
from toolkit.photos.types import Image
from toolkit.records.ledger import Outcome, read_ledger

PHOTOS = Path(__file__).parents[2] / "data"
NETWORKS = sorted(WEIGHTS.glob("*.onnx"))
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
YUNET_SIDE, SIDE = 320, 256  # pixels


def require(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")


def inputs_of(network: OnnxNetwork, count: int) -> NDArray[Any]:
    """Photos in the shape that a network takes: uint8 with the channels last, or YuNet's float32."""
    [(_, height, width, channels)] = network.input_shapes
    if channels != 3:
        height = width = YUNET_SIDE
    photos = [read_photo(path) for path in sorted(PHOTOS.glob("*.jpg"))[:count]]
    small = np.stack([cv2.resize(photo, (int(width), int(height)), interpolation=cv2.INTER_AREA) for photo in photos])
    return small if channels == 3 else small.transpose(0, 3, 1, 2).astype(np.float32)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_the_outputs_are_those_of_onnx_runtime(path: Path, device: str) -> None:
    require(device)
    network = OnnxNetwork(path)
    photos = inputs_of(network, 3)
    with full_precision():
        outputs = TorchNetwork(path, device)(photos)
    for expected, output in zip(network(photos), outputs, strict=True):
        assert output.shape == expected.shape and output.dtype == expected.dtype
        np.testing.assert_allclose(output, expected, rtol=1e-4, atol=max(1e-6, 1e-4 * np.abs(expected).max()))
        if path.stem == "face_mesh":  # in pixels of its input
            np.testing.assert_allclose(output, expected, atol=0.01)


def test_an_image_has_the_same_outputs_in_a_batch_of_any_size() -> None:
    """But for rounding; batches are padded to powers of two."""
    path = WEIGHTS / "face_detector.onnx"
    photos, network = inputs_of(OnnxNetwork(path), 5), TorchNetwork(path, "cpu")
    for whole, part in zip(network(photos), network(photos[2:3]), strict=True):
        assert len(whole) == 5 and len(part) == 1
        np.testing.assert_allclose(part[0], whole[2], rtol=1e-4, atol=1e-5)


def test_a_device_without_memory_is_reported_as_the_service_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    network = TorchNetwork(WEIGHTS / "face_detector.onnx", "cpu")

    def forward(pixels: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError(f"{len(pixels)} images")

    monkeypatch.setattr(network._module, "forward", forward)
    with pytest.raises(MemoryError, match="4 images"):
        network(np.zeros((3, 128, 128, 3), np.uint8))


def test_tf32_is_off_for_a_while_only() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    with full_precision():
        assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32) == before


def compare(direct: dict[str, Outcome], device: dict[str, Outcome], roots: tuple[Path, Path]) -> None:
    """Corners of frontal crops within 0.05 % of their side, and their images within 0.1 levels on average.

    On profiles the search itself is less stable: one pixel of the photo that is brighter by one level moves the corners
    by 0.04 % in the median and 0.3 % in one of twenty.
    """
    assert device.keys() == direct.keys()
    for name, row in direct.items():
        assert (device[name].status, device[name].code, device[name].outputs) == (row.status, row.code, row.outputs)
        for one, other, output in zip(row.faces, device[name].faces, row.outputs, strict=True):
            times = 1 if abs(one["yaw"]) < 20 else 20
            corners = np.array([(0, 0, 1), (SIDE, 0, 1), (0, SIDE, 1), (SIDE, SIDE, 1)])
            photo_xy = corners @ cv2.invertAffineTransform(np.array(other["matrix"])).T
            moved = np.column_stack([photo_xy, np.ones(4)]) @ np.array(one["matrix"]).T - corners[:, :2]
            assert np.abs(moved).max() < 0.0005 * SIDE * times, name
            crops = [read_photo(root / output).astype(int) for root in roots]
            assert np.abs(crops[0] - crops[1]).mean() < 0.1 * times, name


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_crops_found_on_a_device_are_those_of_the_workers_own_networks(
    device: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require(device)
    source, asked = tmp_path / "photos", list[str]()
    rows: list[tuple[Path, dict[str, Outcome]]] = []
    source.mkdir()
    for name in ("003_frontal.jpg", "003_left_3quarter.jpg", "030_left_profile.jpg", "070_right_profile.jpg"):
        (source / name).hardlink_to(PHOTOS / name)
    (source / "gray.png").write_bytes(encode_image(np.full((200, 200, 3), 99, np.uint8), ".png"))

    def opened(name: str) -> Any:
        asked.append(name)
        return open_networks(name)

    monkeypatch.setattr("pipelines.weights.torch_networks.open_networks", opened)
    for place, workers in (("cpu", 2), (device, 1), (device, 2)):
        out = tmp_path / f"{len(rows)}"
        if rows:
            monkeypatch.setattr(device_networks, "is_gpu", lambda name: True)
        result = run("align", source, out, "--device", place, "--workers", workers, "--format", "png", "--json")
        assert json.loads(result.stdout)["written"] == 4
        rows.append((out, {row.input: row for row in read_ledger(out)}))
    assert len(asked) == 2 and {name.partition(":")[0] for name in asked} == {device}
    for out, found in rows[1:]:
        compare(rows[0][1], found, (rows[0][0], out))


@pytest.mark.parametrize(
    "words",
    [
        "align {photos} {out}",
        "batch {photos} {out} --model geometric",
        "batch {photos} {out} --model geometric --paste-back",
        "batch {photos} {out} --model {untrained}",
        "pairs synth {photos} {out}",
        "pairs build {photos} {out} --subjects folders",
        "pairs import multipie {set} {out}",
        "pairs verify {set}",
        "evaluate {set} {out}.html --model geometric",
    ],
)
def test_every_command_finds_faces_on_its_device(
    words: str,
    photos: Path,
    portrait: Image,
    untrained: Path,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each asks for the networks of the device, and ends there."""

    def opened(devices: list[str], load: Any) -> Any:
        raise ConfigError(f"networks on {devices}")

    monkeypatch.setattr(device_networks, "bulk_devices", lambda name: [f"gpu of {name}"])
    monkeypatch.setattr(device_networks, "_open_service", opened)
    root = touch(tmp_path / "set", "001_01_01_051_07.png", "001_01_01_051_07/001_01_01_041_07.png")
    for path in root.rglob("*.png"):
        path.write_bytes(encode_image(portrait[:128, :128], ".png"))
    places = {"photos": photos, "set": root, "out": tmp_path / "out", "untrained": untrained}
    result = run(*(word.format(**places) for word in words.split()), "--device", "cpu")
    assert (result.exit_code, result.stderr.count("networks on ['gpu of cpu']")) == (2, 1), result.output


def test_processes_on_ray_find_faces_on_the_cpu_and_a_gpu_for_them_is_an_error(
    photos: Path, run: Run, tmp_path: Path
) -> None:
    words = ["--model", "geometric", "--engine", "ray", "--device", "cuda"]
    result = run("batch", photos, tmp_path / "out", *words)
    assert result.exit_code == 2 and "device='cuda' with engine ray" in result.stderr
    assert not (tmp_path / "out").exists()
