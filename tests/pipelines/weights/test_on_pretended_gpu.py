"""The networks that find and generate faces, as bulk runs call them, on a pretended GPU.

Files are read before: fake tensors hold no values.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.registry import GENERATORS
from pipelines.export import generate_faces
from pipelines.metrics import image_metrics
from pipelines.metrics.image_metrics import compare_images
from pipelines.weights import checkpoint, torch_generator, torch_networks
from pipelines.weights.checkpoint import GeneratorCard
from pipelines.weights.generator import NetworkInput
from pipelines.weights.gpu_views import ViewRenderer
from pipelines.weights.normalization import Normalization
from tests.pretended_gpu import GPU, pretended_gpu
from toolkit.faces.head_mesh import head_mirror
from toolkit.networks.runtime import WEIGHTS, OnnxNetwork
from toolkit.views.frontal import ViewInputs

NETWORKS = sorted(WEIGHTS.glob("*.onnx"))
SIDE, YUNET_SIDE = 128, 320  # pixels


def loader_of(architecture: str, **shape: int) -> Callable[..., tuple[nn.Module, GeneratorCard]]:
    """Return what loads a generator with drawn weights."""
    size = {"siamese": 96, "multitask": 96, "attributes": 64}.get(architecture, SIDE)
    card = GeneratorCard(
        architecture=architecture,
        image_size=size,
        template="chin",
        normalization=Normalization(),
        recipe="",
        step=0,
        attributes=["Male", "Smiling"],
    )
    net = GENERATORS[architecture](**shape).eval()
    return lambda path, device, *networks: (net.to(device), card)


def view(size: int) -> ViewInputs:
    """A mesh of random vertices."""
    random, vertices = np.random.default_rng(0), len(head_mirror(back=False))
    texture, background = (random.integers(0, 256, (side, side, 3), np.uint8) for side in (90, size))
    xyz = random.random((vertices, 3), np.float32) * size
    return ViewInputs(texture, xyz[:, :2], xyz, random.random(vertices, np.float32), background, 0.1)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_networks_that_find_faces_take_and_give_arrays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [(_, height, width, channels)] = OnnxNetwork(path).input_shapes
    images: Any = np.zeros((3, 3, YUNET_SIDE, YUNET_SIDE), np.float32)
    if channels == 3:
        images = np.zeros((3, int(height), int(width), 3), np.uint8)
    expected = [output.shape for output in OnnxNetwork(path)(images)]
    module = torch_networks.read_onnx(path)
    monkeypatch.setattr(torch_networks, "read_onnx", lambda path: module)
    with pretended_gpu():
        network = torch_networks.TorchNetwork(path, "cuda:0")
        assert {buffer.device for buffer in network._module.buffers()} == {GPU}
        assert [output.shape for output in network(images)] == expected


@pytest.mark.parametrize("architecture", sorted(set(GENERATORS) - {"attributes"}))
def test_generators_take_photos_and_give_faces(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = loader_of(architecture)
    monkeypatch.setattr(torch_generator, "load_generator", loaded)
    with pretended_gpu():
        generator = torch_generator.TorchGenerator(Path(), 2, "cuda:0")
        crops = [np.zeros((generator.side, generator.side, 3), np.uint8)]
        if generator.takes_frontal_view:
            crops += [np.zeros((generator.side, generator.side), np.uint8), crops[0]]
        inputs: list[NetworkInput] = [crops]
        if generator.takes_frontal_view:
            inputs.append(view(generator.side))
        for photo in inputs:
            [face] = generator._pass([photo])  # not in the generator's thread: the pretended GPU is in this one
            assert face.image.shape == (generator.card.image_size, generator.card.image_size, 3)
            assert (face.confidence is not None) == generator.gives_confidence


def test_views_are_rendered_from_arrays() -> None:
    with pretended_gpu():
        parts = ViewRenderer(SIDE, GPU)([view(SIDE), view(SIDE)])
        assert [(part.device, part.shape) for part in parts] == [(GPU, (2, count, SIDE, SIDE)) for count in (3, 1, 3)]


def test_faces_are_compared_with_targets_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[torch.device] = []

    def compare(one: torch.Tensor, other: torch.Tensor, normalization: Normalization) -> torch.Tensor:
        devices.extend([one.device, other.device])
        return compare_images(one, other, normalization)

    monkeypatch.setattr(image_metrics, "compare_images", compare)
    faces = [np.zeros((SIDE, SIDE, 3), np.uint8)] * 2
    with pretended_gpu():
        found = image_metrics.compare_faces(faces, faces, "cuda:0")
    assert [len(measures) for measures in found] == [len(image_metrics.MEASURES)] * 2
    assert devices == [GPU, GPU]


def test_faces_are_generated_from_attributes_in_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, card = loader_of("attributes", attributes=2, image_size=64, channels=4)(Path(), torch.device("cpu"))
    in_tf32: list[bool] = []
    network.register_forward_hook(lambda *_: in_tf32.append(torch.backends.cudnn.allow_tf32))
    monkeypatch.setattr(generate_faces, "load_generator", lambda path, device: (network.to(device), card))
    monkeypatch.setattr(generate_faces, "choose_device", str)
    assert torch.backends.cudnn.allow_tf32  # torch's default
    with pretended_gpu():
        names = generate_faces.generate_faces(Path(), tmp_path, {"Male": 1}, 3, 0, "cuda:0")
    assert names == ["0001.png", "0002.png", "0003.png"]
    assert in_tf32 == [False]
    assert torch.backends.cudnn.allow_tf32


def test_an_array_made_of_a_tensor_on_the_gpu_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = torch_networks.read_onnx(WEIGHTS / "face_detector.onnx")
    monkeypatch.setattr(torch_networks, "read_onnx", lambda path: module)
    with pretended_gpu():
        network = torch_networks.TorchNetwork(Path(), "cuda:0")
        monkeypatch.setattr(torch.Tensor, "cpu", lambda tensor: tensor)
        with pytest.raises(TypeError, match="use Tensor.cpu"):
            network(np.zeros((2, SIDE, SIDE, 3), np.uint8))


def test_weights_are_saved_from_a_gpu_and_loaded_to_a_device(
    tmp_path: Path, untrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors takes tensors from the CPU; a device without memory, torch's "meta", stands for the GPU."""
    network, card = checkpoint.load_generator(untrained, torch.device("meta"))
    assert {tensor.device.type for tensor in network.state_dict().values()} == {"meta"}
    saved: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(checkpoint, "to_safetensors", lambda tensors, metadata: saved.update(tensors) or b"")
    with pretended_gpu():
        checkpoint.save_generator(tmp_path / "generator.safetensors", GENERATORS[card.architecture]().to(GPU), card)
        assert saved and {tensor.device.type for tensor in saved.values()} == {"cpu"}
