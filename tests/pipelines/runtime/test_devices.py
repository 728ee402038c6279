"""Which devices a bulk run uses, and that faces do not depend on how many there are or on who draws the views."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pipelines.batch import network
from pipelines.batch.config import FrontalizeConfig
from pipelines.batch.network import Frontalizer
from pipelines.runtime import devices
from pipelines.runtime.config import BulkConfig
from pipelines.runtime.plan import plan_photos
from pipelines.weights import generator
from pipelines.weights.generator import NetworkInput
from pipelines.weights.gpu_views import ViewRenderer
from tests.conftest import tree
from toolkit.photos.decode import read_photo
from toolkit.records.ledger import Outcome
from toolkit.views.frontal import ViewInputs

CPU = torch.device("cpu")


def frontalized(photos: Path, out: Path, **changes: Any) -> list[Outcome]:
    config = FrontalizeConfig(model="refiner", format="png", batch_size=2, **changes)
    outcomes = Frontalizer(config).run(plan_photos(photos, out), BulkConfig(workers=2), lambda: False)
    return [outcome for outcome in outcomes if outcome.status == "written"]


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_views_drawn_on_the_networks_device_give_the_same_faces(
    device: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    assert len(frontalized(photos / "ann", tmp_path / "by workers", device="cpu")) == 3
    drawn: list[int] = []

    def seen(drawer: ViewRenderer, layouts: list[ViewInputs]) -> tuple[torch.Tensor, torch.Tensor]:
        drawn.append(len(layouts))
        return draw(drawer, layouts)

    draw = ViewRenderer.__call__
    monkeypatch.setattr(network, "VIEW_DEVICES", (device,))
    monkeypatch.setattr(ViewRenderer, "__call__", seen)
    assert len(frontalized(photos / "ann", tmp_path / "on the device", device=device)) == 3
    assert sum(drawn) == 3
    for path in (tmp_path / "by workers").glob("*.png"):
        one, other = (read_photo(tmp_path / out / path.name).astype(int) for out in ("by workers", "on the device"))
        assert one.shape == other.shape == (128, 128, 3)
        assert np.abs(one - other).mean() < 2


@pytest.mark.slow
def test_two_devices_share_the_batches_and_change_no_face(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(frontalized(photos, tmp_path / "one")) == 6
    monkeypatch.setattr(network, "bulk_devices", lambda name: [CPU, CPU])
    used: set[int] = set()

    def seen(one: generator.Generator, photos: list[NetworkInput]) -> list[NDArray[np.uint8]]:
        used.add(id(one))
        return call(one, photos)

    call = generator.Generator.__call__
    monkeypatch.setattr(generator.Generator, "__call__", seen)
    assert len(frontalized(photos, tmp_path / "two")) == 6
    assert len(used) == 2
    assert tree(tmp_path / "two") == tree(tmp_path / "one")


def test_bulk_runs_take_every_gpu_that_is_not_ruled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    every = [torch.device("cuda", number) for number in range(3)]
    assert devices.bulk_devices("auto") == devices.bulk_devices("cuda") == every
    assert devices.bulk_devices("cuda:1") == every[1:2]
    assert devices.bulk_devices("cpu") == [CPU]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.bulk_devices("auto") == [CPU]
