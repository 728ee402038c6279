"""The built-in refiner through ONNX Runtime: torch's faces, the same whatever else is in a batch."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from pipelines.weights.card import read_card
from pipelines.weights.checkpoint import load_generator
from pipelines.weights.generator import BUILT_IN, GeneratedFace, open_generator, weights_path
from pipelines.weights.normalization import Normalization, denormalize, normalize, to_images
from pipelines.weights.onnx_generator import OnnxGenerator
from tests.faces import FACES
from toolkit.errors import ConfigError
from toolkit.landmarks.finder import open_landmarker
from toolkit.networks.runtime import OnnxNetwork
from toolkit.photos.decode import read_photo
from toolkit.photos.types import Image
from toolkit.views.frontal import frontal_view

REFINER = weights_path("refiner")
Views = list[list[Image]]


@pytest.fixture(scope="module")
def views() -> dict[int, Views]:
    """What the refiner takes of the London faces, by side."""
    finder, found = open_landmarker(), {}
    photos = [read_photo(path) for path in sorted(FACES.glob("*.jpg"))]
    faces = [(photo, finder.find(photo)[0]) for photo in photos]
    for size in (96, 128, 256):
        found[size] = [frontal_view(photo, face, size).network_inputs for photo, face in faces]
    return found


@pytest.mark.parametrize("size", [96, 128, 256])
def test_the_network_gives_torchs_numbers(size: int, views: dict[int, Views]) -> None:
    net, card = load_generator(REFINER, torch.device("cpu"))
    images, masks, unmirrored = (np.stack(parts) for parts in zip(*views[size], strict=True))
    images, unmirrored = (normalize(part, card.normalization) for part in (images, unmirrored))
    inputs = images, masks[:, None].astype(np.float32) / 255, unmirrored
    actual, confidence = OnnxNetwork(REFINER.with_suffix(".onnx"))(*inputs)
    with torch.inference_mode():
        wanted, _, expected = net(*(torch.from_numpy(part) for part in inputs))
    np.testing.assert_allclose(confidence, expected, atol=1e-4, rtol=0)
    assert np.ptp(confidence) > 0.01  # it differs between faces
    assert np.abs(images - wanted.numpy()).max() > 0.1  # it does change the views
    np.testing.assert_allclose(actual, wanted, atol=1e-4, rtol=0)
    one = np.array(denormalize(actual, card.normalization), int)
    other = np.array(to_images(wanted, card.normalization), int)
    assert np.abs(one - other).max() <= 1
    assert np.abs(one - other).mean() < 1e-3


def test_a_face_does_not_depend_on_batch_neighbours_or_threads(
    views: dict[int, Views], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = views[128] * 2
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one_thread, [face, *_] = OnnxGenerator(REFINER), OnnxGenerator(REFINER)(some[:1])
    together = one_thread(some)
    assert len({face.image.tobytes() for face in together}) == len(views[128]) > 8
    assert_same([face], together[:1])
    for start, count in ((0, 3), (1, 9), (5, 1), (11, 13)):
        assert_same(one_thread(some[start : start + count]), together[start : start + count])
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    three_threads = OnnxGenerator(REFINER)
    for _ in range(3):
        assert_same(three_threads(some), together)


def assert_same(faces: list[GeneratedFace], others: list[GeneratedFace]) -> None:
    np.testing.assert_array_equal([face.image for face in faces], [face.image for face in others])
    assert [face.confidence for face in faces] == [face.confidence for face in others]


def test_without_torch_the_faces_are_the_same(views: dict[int, Views], tmp_path: Path) -> None:
    np.savez(tmp_path / "views.npz", *(np.stack(part) for part in zip(*views[128], strict=True)))
    script = (
        "import sys, numpy as np; sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        "from pipelines.weights.generator import open_generator\n"
        "given = np.load(sys.argv[1])\n"
        "faces = open_generator('refiner')(list(zip(*given.values())))\n"
        "np.save(sys.argv[2], [face.image for face in faces])"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "views.npz"), str(tmp_path / "faces.npy")]
    subprocess.run(words, check=True, env=os.environ | {"OMP_NUM_THREADS": "2"})
    faces = [face.image for face in open_generator("refiner")(views[128])]
    np.testing.assert_array_equal(np.load(tmp_path / "faces.npy"), faces)


def test_the_weights_are_those_of_the_safetensors() -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    graph = onnx.load(REFINER.with_suffix(".onnx")).graph
    halves = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, tensor in load_file(REFINER).items():
        wanted = tensor.numpy()
        if wanted.size < 2:  # the confidence's bias, which is not stored in half
            np.testing.assert_array_equal(stored[f"refiner.{name}"], wanted)
            continue
        kept = stored[halves[f"refiner.{name}"]]
        assert kept.dtype == wanted.dtype == np.float16
        np.testing.assert_array_equal(kept, wanted)


def test_both_files_have_the_same_card() -> None:
    session = onnxruntime.InferenceSession(REFINER.with_suffix(".onnx"))
    about = session.get_modelmeta().custom_metadata_map["card"]
    assert json.loads(about) == dataclasses.asdict(read_card(REFINER))
    assert (read_card(REFINER).architecture, read_card(REFINER).image_size) == ("refiner", 128)


def test_arrays_are_normalized_as_tensors_are() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for normalization in (Normalization(), Normalization(128, 128)):
        images = normalize(levels, normalization)
        plain = (torch.from_numpy(levels).permute(0, 3, 1, 2).float() - normalization.mean) / normalization.scale
        np.testing.assert_array_equal(images, plain.numpy())
        np.testing.assert_array_equal(denormalize(images, normalization), levels)
        wide = np.linspace(-1.2, 1.2, 2 * 3 * 64).reshape(2, 3, 8, 8).astype(np.float32)
        wanted = to_images(torch.from_numpy(wide), normalization)
        np.testing.assert_array_equal(denormalize(wide, normalization), wanted)


def test_a_missing_or_damaged_network_is_a_wrong_set_up(tmp_path: Path) -> None:
    path = tmp_path / "refiner.safetensors"
    path.write_bytes(REFINER.read_bytes())
    with pytest.raises(ConfigError, match=r"refiner\.onnx: no such file; install frontalize again"):
        OnnxGenerator(path)
    path.with_suffix(".onnx").write_bytes(REFINER.with_suffix(".onnx").read_bytes()[:100_000])
    with pytest.raises(ConfigError, match="install frontalize again"):
        OnnxGenerator(path)


def test_the_built_in_models_need_no_torch_on_the_cpu() -> None:
    assert [name for name in BUILT_IN if isinstance(open_generator(name), OnnxGenerator)] == list(BUILT_IN)
