"""Generators as ONNX: what other runtimes get is what torch gives, or there is no file."""

import dataclasses
import json
import logging
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from models.multitask import NOISE_SIZE, MultitaskGenerator
from models.refiner import Refiner
from pipelines.weights.checkpoint import GeneratorCard, save_generator
from pipelines.weights.generator import weights_path
from pipelines.weights.normalization import Normalization
from tests.conftest import Run

# The network with the most inputs stands for all: an export takes ten seconds, and checks itself.
CARD = GeneratorCard(
    architecture="multitask",
    image_size=96,
    load_size=100,
    shape={"poses": 3, "lights": 2},
    template="chin",
    normalization=Normalization(128, 128),
    recipe="multitask",
    step=7,
)


def save(run: Path, seed: int) -> nn.Module:
    """A run's weights, drawn; batch norms have met data once, or outputs would be the same whatever goes in."""
    torch.manual_seed(seed)
    net = MultitaskGenerator(**CARD.shape)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # plain averages
    with torch.no_grad():
        net(torch.rand(4, 3, 96, 96) * 2 - 1)
    save_generator(run / "generator.safetensors", net, CARD)
    return net.eval()


@pytest.fixture(scope="module", autouse=True)
def quiet_tracer() -> None:
    """pytest catches all that is logged: torch's tracer would then describe its every step, five times as slow."""
    logging.getLogger("torch.__trace").disabled = True


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """A file, beside the run it is of; and what the command said."""
    for name in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(name, reason="the extra onnx is not installed: pip install '.[onnx]'")
    root = tmp_path_factory.mktemp("export")
    save(root / "run", seed=0)
    result = run("export", root / "run", root / "out" / "net.onnx", "--json")
    assert result.exit_code == 0, result.output
    (root / "said.json").write_text(result.stdout)
    return root


@pytest.mark.slow
def test_the_file_gives_torchs_faces_for_any_batch_pose_and_light(exported: Path) -> None:
    net = save(exported / "again", seed=0)
    session = onnxruntime.InferenceSession(exported / "out" / "net.onnx")
    about = {value.name: value.shape for value in session.get_inputs()}
    assert about == {"image": ["batch", 3, 96, 96], "pose": ["batch"], "light": ["batch"]}
    for count in (1, 3):
        image = torch.rand(count, 3, 96, 96) * 2 - 1
        pose, light = torch.arange(count) % 3, torch.arange(count) % 2
        [face] = session.run(["face"], {"image": image.numpy(), "pose": pose.numpy(), "light": light.numpy()})
        with torch.inference_mode():
            wanted = net(image, pose, light, torch.zeros(count, NOISE_SIZE))
            assert (wanted - net(image)).abs().max() > 1e-3  # it does matter what is asked for
        np.testing.assert_allclose(face, wanted, atol=1e-5)


def test_built_in_weights_can_be_exported_too(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    from pipelines.export.onnx import OnnxExport

    exporting = OnnxExport(Path("refiner"), tmp_path / "net.onnx")
    assert list(exporting.inputs) == ["view", "visibility", "unmirrored"]
    assert list(exporting.outputs) == ["face", "confidence"]
    for each in exporting.inputs.values():
        drawn = each.draw(3, 96)
        assert (len(drawn), *drawn.shape[2:]) == (3, 96, 96)
        assert -1 <= drawn.min() < drawn.max() <= 1


@pytest.mark.slow
def test_a_refiners_file_has_faces_and_confidence_of_any_side(tmp_path: Path, run: Run) -> None:
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    torch.manual_seed(0)
    net = Refiner().eval()
    for layer in (net.paint, net.shift, net.own_share):
        nn.init.normal_(layer.weight, std=0.1)
    card = dataclasses.replace(CARD, architecture="refiner", image_size=128, load_size=None, shape={})
    save_generator(tmp_path / "generator.safetensors", net, card)
    assert run("export", tmp_path / "generator.safetensors", tmp_path / "net.onnx").exit_code == 0
    model = onnx.load(tmp_path / "net.onnx")
    meanings = {value.name: value.doc_string for value in model.graph.output}
    assert list(meanings) == ["face", "confidence"]
    assert "(batch,) float in [0, 1]" in meanings["confidence"]
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    about = {value.name: value.shape for value in session.get_outputs()}
    assert about == {"face": ["batch", 3, "size", "size"], "confidence": ["batch"]}
    for count, side in ((1, 256), (3, 90)):
        inputs = {"view": torch.rand(count, 3, side, side) * 2 - 1, "visibility": torch.rand(count, 1, side, side)}
        inputs["unmirrored"] = -inputs["view"]
        with torch.inference_mode():
            wanted = net(*inputs.values())
        face, confidence = session.run(None, {name: values.numpy() for name, values in inputs.items()})
        np.testing.assert_allclose(face, wanted.image, atol=1e-4)
        np.testing.assert_allclose(confidence, wanted.confidence, atol=1e-4)


@pytest.mark.slow
def test_the_built_in_file_is_what_the_command_writes(tmp_path: Path, run: Run) -> None:
    """Apart from names of nodes, which may differ between versions of torch."""
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    assert run("export", "refiner", tmp_path / "net.onnx").exit_code == 0
    shipped = weights_path("refiner").with_suffix(".onnx")
    stored, views = [], []
    random = np.random.default_rng(0)
    view, seen, plain = (random.uniform(low, 1, (2, planes, 80, 80)) for low, planes in ((-1, 3), (0, 1), (-1, 3)))
    inputs = {"view": view, "visibility": seen, "unmirrored": plain}
    for path in (shipped, tmp_path / "net.onnx"):
        graph = onnx.load(path).graph
        weights = {tensor.name: tensor.raw_data for tensor in graph.initializer if tensor.name.endswith(".half")}
        stored.append(
            (weights, [(value.name, value.type, value.doc_string) for value in (*graph.input, *graph.output)])
        )
        session = onnxruntime.InferenceSession(path)
        views += session.run(None, {name: values.astype(np.float32) for name, values in inputs.items()})
    assert stored[0] == stored[1] and len(stored[0][0]) > 50
    for shipped_output, written_output in zip(views[:2], views[2:], strict=True):
        np.testing.assert_allclose(shipped_output, written_output, atol=1e-6)


@pytest.mark.slow
def test_crop_and_normalization_travel_in_the_file(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported / "out" / "net.onnx")
    card = session.get_modelmeta().custom_metadata_map["card"]
    assert json.loads(card) == dataclasses.asdict(CARD)


@pytest.mark.slow
def test_the_command_says_how_far_from_torch(exported: Path) -> None:
    said = json.loads((exported / "said.json").read_text())
    assert said["differences"].keys() == {"1", "2", "7"}
    assert all(0 < difference <= said["bound"] for difference in said["differences"].values())
    assert said["inputs"] == {
        "image": "(batch, 3, 96, 96) float, RGB, (level - 128) / 128 of the crop 'chin', its middle 96 px of 100",
        "pose": "(batch,) int64, the pose to draw, 0 to 2; 1 is frontal",
        "light": "(batch,) int64, the light to draw, 0 to 1; 1 is the standard one",
    }
    assert said["outputs"] == {"face": "(batch, 3, S, S) float, RGB; level = 128 * value + 128"}


@pytest.mark.slow
def test_nothing_of_this_machine_is_in_the_file(exported: Path) -> None:
    data = (exported / "out" / "net.onnx").read_bytes()
    assert str(Path(__file__).parents[3]).encode() not in data
    assert b"site-packages" not in data


@pytest.mark.slow
def test_a_file_that_differs_from_torch_is_not_written(
    exported: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A graph of other weights stands for any fault of exporter or runtime."""
    graph = (exported / "out" / "net.onnx").read_bytes()
    monkeypatch.setattr("pipelines.export.onnx.OnnxExport._graph", lambda self: graph)
    save(tmp_path, seed=1)
    result = run("export", tmp_path / "generator.safetensors", tmp_path / "net.onnx")
    assert result.exit_code == 1
    assert "not written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["generator.safetensors"]


def test_without_the_extra_the_way_out_is_said(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run("export", tmp_path, tmp_path / "net.onnx")
    assert result.exit_code == 2
    assert "pip install 'frontalize[onnx]'" in result.stderr


@pytest.mark.slow
def test_wrong_set_ups_are_refused_before_work(exported: Path, tmp_path: Path, run: Run) -> None:
    for name, says in {"net.pt": "ends in .onnx", "net.onnx": "no such file"}.items():
        result = run("export", tmp_path / "none", tmp_path / name)
        assert result.exit_code == 2
        assert says in result.stderr.replace("\n", " ")
