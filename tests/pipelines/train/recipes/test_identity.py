"""The identity loss of recipe `refiner`: by a recognizer that is trained along, or by dlib's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.recognizers.dlib_resnet import DlibResNet
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.identity import Pretrained
from pipelines.train.recipes.recipe import Setup, TrainingSet
from tests.conftest import Run
from tests.pipelines.train.recipes.runs import config, metrics, train
from toolkit.records.subjects import read_pairs

FROM_THE_START = {"gan_warmup": "1", "identity_warmup": "0"}


@pytest.mark.slow
def test_without_a_recognizer_one_is_trained_along(dataset: Path, tmp_path: Path) -> None:
    train(config(dataset, "refiner", settings=FROM_THE_START), tmp_path / "run")
    rows = metrics(tmp_path / "run")
    assert len(rows) == 2
    for row in rows:
        assert {"recognizer", "identity", "confidence"} <= row.keys()
        assert all(np.isfinite(value) for value in row.values())
        assert 0 <= row["identity"] <= 2


@pytest.mark.slow
def test_dlibs_recognizer_learns_nothing_and_is_used_from_the_first_step(
    shared: Path, dataset: Path, tmp_path: Path
) -> None:
    recognizer = str(shared / "models" / "dlib_resnet")
    settings = {**FROM_THE_START, "identity_warmup": "1000", "recolor": "0", "recognizer": recognizer}
    train(config(dataset, "refiner", settings=settings, steps=3), tmp_path / "run")
    rows = metrics(tmp_path / "run")
    assert len(rows) == 3
    for row in rows:
        assert "recognizer" not in row
        assert all(np.isfinite(value) for value in row.values())
        assert 0 <= row["identity"] <= 2


def test_a_face_is_itself_by_a_pretrained_recognizer(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = DlibResNet().eval()
    monkeypatch.setattr("pipelines.train.recipes.identity.load_dlib_resnet", lambda folder: network)
    data = TrainingSet(dataset, read_pairs(dataset), None)
    loss = Pretrained(Setup(open_fabric("32", "cpu", 1), 1), "folder", data)
    assert loss.networks == {} and loss.warmup == 0
    faces = (torch.rand(2, 3, 64, 64) * 2 - 1).requires_grad_()
    torch.testing.assert_close(loss.cosine(faces, faces.detach()), torch.ones(2), atol=1e-4, rtol=0)
    cosine = loss.cosine(faces, faces.detach().flip(0))
    assert (cosine < 0.999).all()
    [gradient] = torch.autograd.grad(cosine.sum(), faces)
    assert torch.isfinite(gradient).all() and gradient.abs().max() > 0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_folder_without_the_network_is_a_set_up_error(dataset: Path, run: Run, tmp_path: Path) -> None:
    words = ("train", dataset, tmp_path / "run", "--recipe", "refiner", "--steps", 1, "--loader", "torch")
    result = run(*words, "--set", f"recognizer={tmp_path}/nowhere")
    assert result.exit_code == 2
    assert f"recognizer {tmp_path}/nowhere: no face_recognition_model" in result.stderr.replace("\n", "")
    assert not (tmp_path / "run").exists()
