"""The siamese recipes: windows of the crops, the contour phase, the schedule of the discriminator."""

import json
from pathlib import Path

import pytest
import torch

from models.siamese import SiameseGenerator
from pipelines.train.contour_weights import CONTOUR_WEIGHT, contour_weights
from pipelines.train.data.batches import PairBatch
from pipelines.train.fabric import open_fabric
from pipelines.train.recipes.recipe import Setup, StepInfo, TrainingSet
from pipelines.train.recipes.registry import make_recipe, recipe_settings
from pipelines.train.trainer import Training
from pipelines.weights.checkpoint import GeneratorCard, load_generator, save_generator
from pipelines.weights.normalization import Normalization
from tests.conftest import Run
from tests.pipelines.train.recipes.runs import CPU, config, metrics, train
from toolkit.errors import CheckpointError
from toolkit.photos.decode import read_photo
from toolkit.records.subjects import read_pairs


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of siamese that has not learned anything yet."""
    run = tmp_path_factory.mktemp("untrained")
    torch.manual_seed(0)
    card = GeneratorCard(
        architecture="siamese",
        image_size=96,
        load_size=100,
        template="chin",
        normalization=Normalization(),
        recipe="siamese",
        step=0,
    )
    save_generator(run / "generator.safetensors", SiameseGenerator(), card)
    return run


@pytest.mark.slow
def test_a_generator_trained_on_windows_is_fed_windows(untrained: Path, tmp_path: Path, photos: Path, run: Run) -> None:
    words = ["batch", photos / "ann", tmp_path / "out", "--model", untrained / "generator.safetensors", "--json"]
    result = run(*words)
    assert json.loads(result.stdout)["written"] == 3, result.stderr
    assert read_photo(tmp_path / "out" / "0.jpg").shape == (96, 96, 3)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["l1", "l2"])
def test_the_contour_phase_starts_from_a_run_and_moves_the_decoder_alone(
    loss: str, dataset: Path, untrained: Path, tmp_path: Path
) -> None:
    later = {"phase": "contour", "contour_loss": loss}
    train(config(dataset, "siamese", steps=1, start_from=str(untrained), settings=later), tmp_path / "third")
    (before, _), (after, _) = (
        load_generator(run / "generator.safetensors", CPU) for run in (untrained, tmp_path / "third")
    )
    old, new = before.state_dict(), after.state_dict()
    moved = {name.split(".")[0] for name in old if not torch.equal(old[name], new[name])}
    assert moved == {"decoder"}
    losses = {name for name in metrics(tmp_path / "third")[0] if not name.startswith("val_")}
    assert losses == {"step", "contour"}
    with pytest.raises(CheckpointError, match="does not fit"):
        Training(config(dataset, "multitask", start_from=str(untrained)), tmp_path / "other", "cpu", 1)


@pytest.mark.slow
def test_the_contour_is_where_the_faces_end(dataset: Path) -> None:
    root = dataset / "train"
    weights = contour_weights(root, read_pairs(root), 96)
    assert weights.shape == (1, 1, 96, 96)
    assert weights.min() == 1
    assert weights.max() == CONTOUR_WEIGHT
    assert weights[0, 0, 40, 44:52].max() == 1  # the nose is inside


@pytest.mark.slow
def test_the_discriminator_of_the_siamese_gan_steps_at_every_sixth_step(dataset: Path) -> None:
    settings = recipe_settings(config(dataset, "siamese-gan-v2"))
    recipe = make_recipe("siamese-gan-v2", settings, Setup(open_fabric("32", "cpu", 1)), TrainingSet(dataset, [], None))
    classes = torch.tensor([0, 1])
    images = torch.rand(2, 3, 96, 96)
    batch = PairBatch(
        input=images,
        target=images,
        index=classes,
        pose=classes,
        light=classes,
        identity=classes,
        second=images,
        second_pose=classes,
        second_light=classes,
        second_identity=classes,
    )
    stepped = ["discriminator" in recipe.step(batch, StepInfo(step, 0)) for step in (0, 1, 5, 6)]
    assert stepped == [True, False, False, True]
    recipe.step(batch, StepInfo(20_000, 0))
    rates = {name: network.optimizer.param_groups[0]["lr"] for name, network in recipe.networks.items()}
    assert rates == {"generator": 1e-4, "discriminator": 5e-5}
