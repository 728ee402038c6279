"""Parts that all recipes share: optimizers, losses, the watch for divergence; and the recipe attributes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.losses import contrastive, masked_cross_entropy
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.recipe import Setup
from pipelines.train.trainer import PATIENCE, DivergenceWatch
from tests.conftest import Run
from tests.pipelines.train.recipes.runs import config, metrics, train
from toolkit.errors import TrainingDiverged
from toolkit.photos.decode import read_photo


@pytest.mark.slow
def test_accumulated_batches_make_one_step_of_a_larger_one(dataset: Path, tmp_path: Path) -> None:
    """Without batch norm in between (l2 of a frozen net's decoder would not do): the gradients' means must agree."""
    train(config(dataset, "scaleway", steps=2, accumulate=2), tmp_path / "r")
    assert [row["step"] for row in metrics(tmp_path / "r")] == [1, 2]
    net = torch.nn.Linear(3, 1)
    start = {name: value.clone() for name, value in net.state_dict().items()}
    fabric, data = open_fabric("32", "cpu", 1), torch.randn(4, 3)
    results = []
    for accumulate in (1, 2):
        net.load_state_dict(start)
        network = Setup(fabric, accumulate).network(net, 0.1, (0.9, 0.999))
        for part in data.chunk(accumulate):
            network.backward_and_step(network.net(part).square().mean())
        results.append(net.weight.detach().clone())
    torch.testing.assert_close(*results)


def test_the_generators_loss_leaves_the_discriminator_unchanged() -> None:
    fabric = open_fabric("32", "cpu", 1)
    setup = Setup(fabric, accumulate=2)
    generator, discriminator = (setup.network(torch.nn.Linear(2, 2), 0.1, (0.5, 0.999)) for _ in range(2))
    fake = generator.net(torch.ones(1, 2))
    generator.backward_and_step(discriminator.frozen_forward(fake).sum())
    assert all(parameter.grad is None for parameter in discriminator.module.parameters())
    assert all(parameter.grad is not None for parameter in generator.module.parameters())


def test_like_things_are_pulled_together_and_unlike_ones_apart() -> None:
    near, far = torch.zeros(1, 4), torch.tensor([[3.0, 0, 0, 0]])
    same, other = torch.tensor([True]), torch.tensor([False])
    torch.testing.assert_close(contrastive(near, far, same), torch.tensor(9.0), atol=1e-4, rtol=0)
    assert contrastive(near, far, other) == 0
    torch.testing.assert_close(contrastive(near, near, other), torch.tensor(4.0), atol=1e-4, rtol=0)
    logits = torch.tensor([[5.0, 0], [0, 5.0]])
    assert masked_cross_entropy(logits, torch.tensor([0, -1])) < 0.01
    assert masked_cross_entropy(logits, torch.tensor([-1, -1])) == 0


@pytest.mark.slow
def test_a_loss_that_is_nan_stops_the_run_and_keeps_the_last_checkpoint(
    dataset: Path, tmp_path: Path, run: Run
) -> None:
    words = ["train", dataset, tmp_path / "r", "--steps", 4, "--batch-size", 2, "--loader", "torch"]
    for save_every, said in ((1, "weights are NaN"), (9, "adversarial is nan")):
        diverges = ["--set", "l2_weight=1e39", "--save-every", save_every]  # more than float32 holds
        result = run(*words[:2], tmp_path / said, *words[3:], *diverges)
        assert result.exit_code == 1, result.stderr
        assert said in result.stderr.replace("\n", " ")
        assert "The last checkpoint is from before" in result.stderr.replace("\n", " ")
        assert not (tmp_path / said / "checkpoints" / "last.ckpt").exists()


def test_a_discriminator_without_a_loss_is_reported_once() -> None:
    watch = DivergenceWatch()
    said = [watch.check({"discriminator": 1e-5}, step) for step in range(PATIENCE)]
    assert [bool(text) for text in said] == [False] * (PATIENCE - 1) + [True]
    later = [watch.check({"discriminator": 1e-5} if step % 6 == 0 else {"l1": 1.0}, step) for step in range(60)]
    assert not any(later)
    with pytest.raises(TrainingDiverged, match="l1 is nan"):
        watch.check({"l1": float("nan")}, 1)


@pytest.mark.slow
def test_faces_are_generated_with_given_attributes(dataset: Path, tmp_path: Path, run: Run) -> None:
    train(config(dataset, "attributes", steps=1, settings={"channels": "16"}), tmp_path / "r")
    words = ["generate", tmp_path / "r", tmp_path / "out", "--attributes"]
    grid = read_photo(tmp_path / "r" / "samples" / "000001_attributes.jpg")
    assert grid.shape == (20 + 5 * 64, 64, 3)  # the target's attributes, five noise values, the discriminator's score
    assert grid[:20].min() < 100
    result = run(*words, "Smiling=1,Male=0", "-n", 3, "--json")
    assert json.loads(result.stdout)["outputs"] == ["0001.png", "0002.png", "0003.png"], result.stderr
    first = read_photo(tmp_path / "out" / "0001.png")
    assert first.shape == (64, 64, 3)
    assert not np.array_equal(first, read_photo(tmp_path / "out" / "0002.png"))
    run(*words, "Male=1", "-n", 1)
    assert not np.array_equal(first, read_photo(tmp_path / "out" / "0001.png"))  # the same noise, another attribute
    for option, value in (("-n", 0), ("--seed", -1)):
        refused = run(*words, "Male=1", option, value)
        assert refused.exit_code == 2
        assert f"={value}: must be" in refused.stderr
    for wrong, says in (("Bald=1", "knows Male, Smiling"), ("Male=2", "NAME=1 or NAME=0"), ("Male", "NAME=1")):
        refused = run(*words, wrong)
        assert refused.exit_code == 2
        assert says in refused.stderr.replace("\n", " ")
    photo = run("batch", dataset, tmp_path / "b", "--model", tmp_path / "r" / "generator.safetensors")
    assert photo.exit_code == 2
    assert "frontalize generate" in photo.stderr.replace("\n", " ")
