"""Which devices a bulk run uses, and that faces do not depend on how many there are or on who draws the views."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from models.frontal_view import FrontalViews
from pipelines.batch import network
from pipelines.batch.config import FrontalizeConfig
from pipelines.batch.network import Frontalizer
from pipelines.photo_jobs import device_networks
from pipelines.runtime import devices
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.plan import plan_photos
from pipelines.weights import onnx_generator
from pipelines.weights.generator import GeneratedFace, NetworkInput, weights_path
from pipelines.weights.gpu_views import ViewRenderer
from tests.conftest import tree
from toolkit.errors import ConfigError
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import Outcome
from toolkit.views.frontal import ViewInputs


def frontalized(photos: Path, out: Path, device: str = "auto", **changes: Any) -> list[Outcome]:
    config = FrontalizeConfig(**{"model": "refiner", "format": "png", "batch_size": 2, **changes})
    outcomes = Frontalizer(config, BulkConfig(workers=2, device=device)).run(plan_photos(photos, out), lambda: False)
    return [outcome for outcome in outcomes if outcome.status == "written"]


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_views_drawn_on_the_networks_device_give_the_same_faces(
    device: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    model = str(weights_path("refiner"))  # as a user's weights, which torch runs on the CPU too
    assert len(frontalized(photos / "ann", tmp_path / "by workers", model=model, device="cpu")) == 3
    drawn: list[int] = []

    def seen(drawer: ViewRenderer, layouts: list[ViewInputs]) -> FrontalViews:
        drawn.append(len(layouts))
        return draw(drawer, layouts)

    draw = ViewRenderer.__call__
    for module in (network, device_networks):  # which finds the faces there, too
        monkeypatch.setattr(module, "is_gpu", lambda name: name.startswith(device))
    monkeypatch.setattr(ViewRenderer, "__call__", seen)
    assert len(frontalized(photos / "ann", tmp_path / "on the device", model=model, device=device)) == 3
    assert sum(drawn) == 3
    for path in (tmp_path / "by workers").glob("*.png"):
        one, other = (read_photo(tmp_path / out / path.name).astype(int) for out in ("by workers", "on the device"))
        assert one.shape == other.shape == (256, 256, 3)
        assert np.abs(one - other).mean() < 2


@pytest.mark.slow
def test_two_devices_share_the_batches_and_change_no_face(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(frontalized(photos, tmp_path / "one")) == 6
    monkeypatch.setattr(network, "bulk_devices", lambda name: ["cpu", "cpu"])
    used: set[int] = set()

    def seen(one: onnx_generator.OnnxGenerator, photos: list[NetworkInput]) -> list[GeneratedFace]:
        used.add(id(one))
        return call(one, photos)

    call = onnx_generator.OnnxGenerator.__call__
    monkeypatch.setattr(onnx_generator.OnnxGenerator, "__call__", seen)
    assert len(frontalized(photos, tmp_path / "two")) == 6
    assert len(used) == 2
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_bulk_runs_take_every_gpu_that_is_not_ruled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    every = ["cuda:0", "cuda:1", "cuda:2"]
    assert devices.bulk_devices("auto") == devices.bulk_devices("cuda") == every
    assert devices.bulk_devices("cuda:1") == every[1:2]
    assert devices.bulk_devices("cpu") == ["cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.bulk_devices("auto") == ["cpu"]


def test_torch_is_asked_for_gpus_only_where_a_driver_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> bool:
        raise AssertionError("torch is asked")

    def library(name: str) -> None:
        if name != installed:
            raise OSError(name)

    installed = "libcuda.so.1"
    monkeypatch.setattr("ctypes.CDLL", library)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.choose_device("auto") == "cuda:0"
    installed = ""
    monkeypatch.setattr(torch.cuda, "is_available", asked)
    assert devices.choose_device("auto") == "cpu"


def test_without_torch_the_device_is_the_cpu_and_a_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert devices.choose_device("auto") == devices.choose_device("cpu") == "cpu"
    for name in ("cuda", "cuda:1"):
        with pytest.raises(ConfigError, match=rf"device='{name}' needs torch.*pip install 'frontalize\[train\]'"):
            devices.choose_device(name)


def uses_tf32(*words: object) -> bool:
    """Tell whether convolutions on GPUs would."""
    return torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(("device", "expected"), [("cuda:0", False), ("cpu", True)])
def test_generators_in_a_process_of_ray_compute_in_float32_on_a_gpu(device: str, expected: bool) -> None:
    assert uses_tf32()  # torch's default
    frontalizer: Any = SimpleNamespace(devices=[device], finish=lambda source, out, photos: map(uses_tf32, photos))
    finish: Any = network._finish_block
    assert list(finish(Path(), Path(), frontalizer, [None])) == [expected]
    assert uses_tf32()
