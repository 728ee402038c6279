"""Readers of networks: weights, checkpoints, pickles, ONNX files, bundles; and of the sets that a notebook shows."""

import io
import json
import os
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from examples.fuzz.tables import Prepared
from pipelines.runtime.worker_pool import run_in_workers
from toolkit.errors import FrontalizeError
from toolkit.photos.files import encode_image

SHARED = Path(os.environ.get("FRONTALIZE_SHARED", "../shared")).resolve() / "data"
NETWORKS = Path(__file__).parents[2] / "toolkit" / "networks" / "weights"
CARDS = (
    b'"',
    b"null",
    b"-1",
    b"4097",
    b"1e999",
    b"NaN",
    b"[]",
    b"{}",
    b"\xff" * 8,
    bytes(8),
    b'\\"schema\\": 2',
    b"F16",
    b"9" * 20,
)
PICKLES = (
    b"cos\nsystem\n",
    b"(S'touch x'\ntR",
    b"\x80\x02",
    b".",
    b"R",
    b"c__builtin__\neval\n",
    b"ctorch\nload\n",
    b"\x85R",
    b"r\xff\xff\xff\xff",
)
GRAPHS = (bytes(8), b"\xff" * 8, b"\x7f\xff\xff\xff", b"Conv", b"Loop", b"\x08\x01", b"/etc/passwd", b"external")


def safetensors(box: Path) -> Prepared:
    """A generator's weights, as `--model` names them."""
    import torch

    from models.attribute_gan import AttributeGenerator
    from pipelines.weights.checkpoint import GeneratorCard, load_generator, save_generator
    from pipelines.weights.normalization import Normalization

    torch.set_num_threads(1)
    shape = {"attributes": 2, "image_size": 64, "channels": 2}
    card = GeneratorCard(
        architecture="attributes",
        image_size=64,
        template="chin",
        normalization=Normalization(),
        recipe="attributes",
        step=1,
        shape=shape,
    )
    path = box / "generator.safetensors"
    save_generator(path, AttributeGenerator(**shape), card)

    def read(data: bytes) -> str:
        path.write_bytes(data)
        net, _ = load_generator(path, torch.device("cpu"))
        return type(net).__name__

    return read, [path.read_bytes()]


def checkpoint(box: Path) -> Prepared:
    """A training's state, as a resumed run reads it."""
    import torch

    from pipelines.train.config import TrainConfig
    from pipelines.train.trainer import CHECKPOINT, Training
    from toolkit.errors import CheckpointError

    torch.set_num_threads(1)
    _draw_set(box / "set")
    config = TrainConfig(
        dataset=str(box / "set"),
        recipe="attributes",
        steps=1,
        batch_size=2,
        loader="torch",
        settings={"channels": "1"},
        ema=0.5,
    )
    training = Training(config, box / "run", "cpu", 1)
    training._save(1)
    seed = (box / "run" / CHECKPOINT).read_bytes()

    def read(data: bytes) -> str:
        (box / "run" / CHECKPOINT).write_bytes(data)
        try:
            return "resumed" if training._resume() == 1 else "resumed elsewhere"
        except CheckpointError as error:
            return "torch's reader" if "cannot be read" in str(error) else "not this state"

    return read, [seed]


def _draw_set(root: Path) -> None:
    from toolkit.records.labels import write_labels

    rows: list[dict[str, object]] = []
    for number, (name, subject) in enumerate(
        (("a.jpg", "a"), ("a/1.jpg", "a"), ("a/2.jpg", "a"), ("b.jpg", "b"), ("b/1.jpg", "b"))
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(_drawn(number, 24))
        rows.append(
            {
                "file": name,
                "subject": subject,
                "role": "input" if "/" in name else "target",
                "yaw": 15 * number,
                "attr_Red": number % 2,
            }
        )
    write_labels(root, rows)


def _drawn(number: int, side: int) -> bytes:
    blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return encode_image(np.kron(blocks, np.ones((side // 4, side // 4, 1), np.uint8)), ".jpg")


def notebook(box: Path) -> Prepared:
    """What the notebook in examples reads of a set: a batch of its photos, of which one is damaged."""
    import torch

    from pipelines.train.data.batches import LoaderSpec
    from pipelines.train.data.torch_loader import load_pairs
    from pipelines.weights.normalization import Normalization, to_images
    from toolkit.records.labels import read_labels
    from toolkit.records.subjects import read_pairs

    torch.set_num_threads(1)
    _draw_set(box)
    options: dict[str, Any] = {
        "batch_size": 3,
        "image_size": 16,
        "normalization": Normalization(),
        "seed": 0,
        "workers": 1,
    }

    def read(data: bytes) -> str:
        (box / "a" / "1.jpg").write_bytes(data)
        pairs = read_pairs(box)
        batch = load_pairs(LoaderSpec(root=box, pairs=pairs, **options), range(3), torch.device("cpu"))
        shown = [pairs[int(number)] for number in batch.index]
        read_labels(box).numbers("yaw", [pair.input for pair in shown])
        if [image.shape for image in to_images(batch.input, Normalization())] != [(16, 16, 3)] * 3:
            raise AssertionError(f"{batch.input.shape}")
        return "read" if shown[0].input == "a/1.jpg" else "replaced"

    return read, [_drawn(9, 24), encode_image(np.full((24, 24, 3), 7, np.uint8), ".png")]


def pickled(box: Path) -> Prepared:
    """The pickled modules of scaleway/frontalization, as `convert` reads them."""
    import torch
    from torch import nn

    from pipelines.export.convert_weights import convert_weights

    torch.set_num_threads(1)
    module = types.ModuleType("network")

    class G(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.LeakyReLU(0.2), nn.ConvTranspose2d(2, 3, 3), nn.Tanh()
            )

    G.__module__, G.__qualname__, module.G = "network", "G", G  # type: ignore[attr-defined]
    sys.modules["network"] = module
    seeds = []
    for content in (G(), G().state_dict()):
        for as_zip in (True, False):
            buffer = io.BytesIO()
            torch.save(content, buffer, _use_new_zipfile_serialization=as_zip)
            seeds.append(buffer.getvalue())
    del sys.modules["network"]

    def read(data: bytes) -> str:
        (box / "v0.pt").write_bytes(data)
        try:
            convert_weights(box / "v0.pt", box / "out.safetensors")
        except FrontalizeError as error:
            if "do not fit" in str(error):
                return "other tensors"
            raise
        return "converted"

    return read, seeds


def onnx(box: Path) -> Prepared:
    """Networks that a user gives: a recognizer, and YuNet."""
    from onnx import TensorProto, helper, numpy_helper

    from toolkit.identity.recognizer import Recognizer
    from toolkit.networks.runtime import OnnxNetwork

    filters = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["y"]),
    ]
    place, out = (
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 112, 96]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, 1, 1]),
    )
    graph = helper.make_graph(nodes, "g", [place], [out], [numpy_helper.from_array(filters, "w")])
    small = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()
    crop = np.zeros((112, 112, 3), np.uint8)
    path = box / "x.onnx"

    def read(data: bytes) -> str:
        path.write_bytes(data)
        if len(data) > 10 * len(small):
            return f"{len(OnnxNetwork(path).input_shapes)} inputs"
        return f"{Recognizer(path).embed([crop]).shape[1]} numbers"

    return read, [small] * 4 + [(NETWORKS / "yunet.onnx").read_bytes()]


def task(box: Path) -> Prepared | str:
    """A Face Landmarker bundle, as `--landmarker` names it: in a worker process, which MediaPipe may end."""
    bundle = SHARED / "models" / "face_landmarker.task"
    if not bundle.is_file():
        return f"no {bundle}"
    path = box / "x.task"

    def read(data: bytes) -> str:
        path.write_bytes(data)
        jobs = run_in_workers(partial(_open_task, path), count_faces, [64], 1, lambda: False)
        return f"{next(iter(jobs))} faces"

    return read, [bundle.read_bytes()]


def _open_task(path: Path) -> Any:
    from toolkit.landmarks.mediapipe_tasks import TaskLandmarker

    return TaskLandmarker(path)


def count_faces(landmarker: Any, side: int) -> int:
    """Count the faces of a black image."""
    return len(landmarker.find(np.zeros((side, side, 3), np.uint8)))


def dlib(box: Path) -> Prepared:
    """The manifest of dlib's recognizer, as `--set recognizer=FOLDER` names it."""
    from torch import nn

    from models.recognizers.dlib_resnet import DlibResNet
    from pipelines.weights.dlib_weights import MANIFEST, load_dlib_resnet

    entries, size = list[dict[str, object]](), 0
    for layer in (part for part in DlibResNet().modules() if isinstance(part, nn.Conv2d)):
        out, into, height, width = layer.weight.shape
        for shape in ((height, width, into, out), (out,), (out,), (out,)):
            entries.append(
                {"shape": shape, "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 1e-4, "min": -0.02}}
            )
            size += int(np.prod(shape))
    entries.append(
        {"shape": (256, 128), "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 1e-4, "min": 0}}
    )
    (box / "x.bin").write_bytes(bytes(size + 256 * 128))

    def read(data: bytes) -> str:
        (box / MANIFEST).write_bytes(data)
        return type(load_dlib_resnet(box)).__name__

    return read, [json.dumps([{"paths": ["x.bin"], "weights": entries}]).encode()]
