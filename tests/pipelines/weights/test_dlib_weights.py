"""dlib's face recognition network, read from the form of face-api."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.recognizers.dlib_resnet import EMBEDDING_SIZE, DlibResNet
from pipelines.weights.dlib_weights import MANIFEST, load_dlib_resnet
from toolkit.crops.align import AlignConfig, align_photo
from toolkit.errors import ConfigError
from toolkit.landmarks.protocols import Landmarker
from toolkit.photos.decode import Photo, read_bytes

BINARY = "face_recognition_model.bin"
PEOPLE = 12


def write_weights(folder: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Write a drawn network; return its arrays by name, as they are before their coding."""
    random, entries, data, arrays = np.random.default_rng(0), list[dict[str, Any]](), b"", dict[str, Any]()

    def add(name: str, shape: tuple[int, ...], quantized: bool) -> None:
        nonlocal data
        if quantized:
            levels, coding = random.integers(0, 256, shape, np.uint8), {"dtype": "uint8", "scale": 2e-4, "min": -0.025}
            arrays[name] = levels * coding["scale"] + coding["min"]
            entries.append({"name": name, "shape": shape, "dtype": "float32", "quantization": coding})
        else:
            levels = arrays[name] = random.uniform(0.5, 1.5, shape).astype(np.float32)
            entries.append({"name": name, "shape": shape, "dtype": "float32"})
        data += levels.tobytes()

    for number, conv in enumerate(part for part in DlibResNet().modules() if isinstance(part, nn.Conv2d)):
        out, into, height, width = conv.weight.shape
        add(f"{number}/filters", (height, width, into, out), True)
        add(f"{number}/bias", (out,), False)
        add(f"{number}/scale", (out,), number % 2 == 1)
        add(f"{number}/offset", (out,), False)
    add("fc", (256, EMBEDDING_SIZE), True)
    (folder / MANIFEST).write_text(json.dumps([{"paths": [BINARY], "weights": entries}]))
    (folder / BINARY).write_bytes(data)
    return arrays


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray[Any, Any]]]:
    folder = tmp_path_factory.mktemp("dlib")
    return folder, write_weights(folder)


def test_values_are_decoded_and_scales_folded_into_the_filters(
    written: tuple[Path, dict[str, np.ndarray[Any, Any]]],
) -> None:
    folder, arrays = written
    network = load_dlib_resnet(folder)
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 29
    for number in (0, 1, 28):
        filters, bias, scale, offset = (arrays[f"{number}/{name}"] for name in ("filters", "bias", "scale", "offset"))
        wanted = (filters * scale).transpose(3, 2, 0, 1)
        np.testing.assert_allclose(convolutions[number].weight.numpy(), wanted, atol=1e-6)
        stored = convolutions[number].bias
        assert stored is not None
        np.testing.assert_allclose(stored.numpy(), bias * scale + offset, rtol=1e-5)
    np.testing.assert_allclose(network.embed.weight.numpy(), arrays["fc"].T, atol=1e-6)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_crops_of_any_size_have_embeddings_and_gradients() -> None:
    torch.manual_seed(0)
    network = DlibResNet().eval()
    for size in (96, 128):
        crops = (torch.rand(2, 3, size, size) * 2 - 1).requires_grad_()
        embeddings = network(crops)
        assert embeddings.shape == (2, EMBEDDING_SIZE)
        [gradient] = torch.autograd.grad(embeddings.sum(), crops)
        assert (gradient != 0).any() and torch.isfinite(gradient).all()


def cut_binary(folder: Path) -> None:
    (folder / BINARY).write_bytes((folder / BINARY).read_bytes()[:-100])


def edit(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path], None]:
    """Return a function that changes the entries of a manifest."""

    def damage(folder: Path) -> None:
        [group] = json.loads((folder / MANIFEST).read_text())
        change(group["weights"])
        (folder / MANIFEST).write_text(json.dumps([group]))

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "no tensors": lambda folder: (folder / BINARY).unlink(),
    "short": cut_binary,
    "no JSON": lambda folder: (folder / MANIFEST).write_text("weights"),
    "no list": lambda folder: (folder / MANIFEST).write_text("{}"),
    "no text": lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe\x00"),
    "two groups": lambda folder: (folder / MANIFEST).write_text("[{}, {}]"),
    "no entry": edit(lambda entries: entries.pop()),
    "wrong shape": edit(lambda entries: entries[0].update(shape=[7, 7, 4, 32])),
    "no shape": edit(lambda entries: entries[0].pop("shape")),
    "infinite": edit(lambda entries: entries[0].update(shape=[float("inf")])),
    "negative": edit(lambda entries: entries[0].update(shape=[-7])),
    "no number": edit(lambda entries: entries[0].update(quantization={"scale": "a", "min": 0})),
    "empty": edit(lambda entries: entries.insert(0, {})),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_and_missing_files_are_set_up_errors(
    damage: Callable[[Path], object], written: tuple[Path, dict[str, np.ndarray[Any, Any]]], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(written[0], tmp_path / "dlib"))
    damage(folder)
    with pytest.raises(ConfigError, match=f"recognizer {folder}: no {MANIFEST}"):
        load_dlib_resnet(folder)


@pytest.mark.slow
def test_smiling_people_are_matched_with_their_neutral_photos(shared: Path, landmarker: Landmarker) -> None:
    network = load_dlib_resnet(shared / "models" / "dlib_resnet")

    def embed(expression: str) -> torch.Tensor:
        crops = []
        for path in sorted((shared / "london").glob(f"*_{expression}.jpg"))[:PEOPLE]:
            [crop] = align_photo(Photo(read_bytes(path)), landmarker, AlignConfig(size=128))
            crops.append(torch.from_numpy(crop.image).permute(2, 0, 1).float() / 127.5 - 1)
        with torch.inference_mode():
            embeddings: torch.Tensor = network(torch.stack(crops))
        return embeddings

    neutral, smiling = embed("neutral"), embed("smiling")
    distances = torch.cdist(smiling, neutral)
    assert torch.equal(distances.argmin(dim=1), torch.arange(PEOPLE))
    assert distances.diagonal().max() < 0.6  # dlib's threshold for the same person
